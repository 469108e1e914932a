-- One team's token and the lock of its renewal: KEYS[1], a hash. Only one key, so that it works on a cluster as it is.
-- ARGV[1] says what is to be done. Times are milliseconds by the server's clock, which all processes share.
--
--   value       the sealed token          version     the fence with which it was stored
--   renew_at    absent: never             expires_at  absent: never             rejected_at  the platform did not accept it
--   fence       the last one given out    held_until  until when that one holds the lock
--
-- A fence grows with each lock. What was stored with one is never overwritten with a lower or equal one: a holder that wakes
-- after its lock has passed on cannot put an older token over a newer one. Until somebody stores, it may: a refresh token that
-- is good for one use is then in its hands alone.
local SLOT, ACT = KEYS[1], ARGV[1]
local TIME = redis.call('TIME')
local NOW = TIME[1] * 1000 + math.floor(TIME[2] / 1000)

local function text(number) return string.format('%.0f', number) end
local function field(name) return tonumber(redis.call('HGET', SLOT, name) or '0') end
local function next_fence() return math.max(field('fence'), field('version')) + 1 end

local function put(version, value, renew_ms, expires_ms)
  redis.call('HSET', SLOT, 'version', text(version), 'fence', text(math.max(field('fence'), version)), 'value', value)
  redis.call('HDEL', SLOT, 'rejected_at', 'renew_at', 'expires_at')
  if renew_ms ~= '' then redis.call('HSET', SLOT, 'renew_at', text(NOW + renew_ms)) end
  if expires_ms ~= '' then redis.call('HSET', SLOT, 'expires_at', text(NOW + expires_ms)) end
end

local acts = {}

-- Answers {value, version, renewed in, expires in, rejected ago}; '' where there is none.
function acts.read()
  local found = redis.call('HMGET', SLOT, 'value', 'version', 'renew_at', 'expires_at', 'rejected_at')
  local function from_now(at, sign) return at and text(sign * (tonumber(at) - NOW)) or '' end
  return {found[1] or '', found[2] or '0', from_now(found[3], 1), from_now(found[4], 1), from_now(found[5], -1)}
end

-- ARGV: the version that the caller has seen, milliseconds to hold. Answers {fence, 0}, or {0, how long the lock is still held};
-- {0, 0} where a newer version stands there by now.
function acts.claim()
  if field('version') ~= tonumber(ARGV[2]) then return {'0', '0'} end
  local left = field('held_until') - NOW
  if left > 0 then return {'0', text(left)} end
  local fence = next_fence()
  redis.call('HSET', SLOT, 'fence', text(fence), 'held_until', text(NOW + ARGV[3]))
  return {text(fence), '0'}
end

-- ARGV: fence, value, renew in, expires in. Answers 'stored', also to the repetition of a call whose answer was lost, or 'stale'.
function acts.store()
  local fence, version = tonumber(ARGV[2]), field('version')
  if fence < version then return 'stale' end
  if fence > version then put(fence, ARGV[3], ARGV[4], ARGV[5]) end
  if field('fence') == fence then redis.call('HDEL', SLOT, 'held_until') end
  return 'stored'
end

-- ARGV: fence.
function acts.release()
  if field('fence') == tonumber(ARGV[2]) then redis.call('HDEL', SLOT, 'held_until') end
  return 'released'
end

-- ARGV: value, renew in, expires in. Whatever is under way is stale from now on.
function acts.install()
  put(next_fence(), ARGV[2], ARGV[3], ARGV[4])
  redis.call('HDEL', SLOT, 'held_until')
  return 'stored'
end

-- ARGV: the version that the platform did not accept.
function acts.reject()
  if field('version') ~= tonumber(ARGV[2]) or redis.call('EXISTS', SLOT) == 0 then return 'newer' end
  redis.call('HSET', SLOT, 'rejected_at', text(NOW))
  return 'rejected'
end

-- ARGV: version, the same token under the current key.
function acts.reseal()
  if field('version') == tonumber(ARGV[2]) then redis.call('HSET', SLOT, 'value', ARGV[3]) end
  return 'resealed'
end

return acts[ACT]()
