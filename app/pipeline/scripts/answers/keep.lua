-- ARGV: key, text, milliseconds to live, most entries, the caller's token ('': it leads nobody). The least recently used go.
local MOST_AT_ONCE = 1000 -- of each kind: other callers wait while a script runs
local key, text, live_ms, limit, token = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]

local function forget(gone)
  redis.call('DEL', answer(gone))
  redis.call('ZREM', USED, gone)
  redis.call('ZREM', ENDS, gone)
end

redis.call('SET', answer(key), text, 'PX', number(live_ms))
redis.call('ZADD', USED, number(NOW), key)
redis.call('ZADD', ENDS, number(NOW + live_ms), key)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', ENDS, '-inf', number(NOW), 'LIMIT', 0, MOST_AT_ONCE)) do forget(gone) end
local over = math.min(redis.call('ZCARD', USED) - limit, MOST_AT_ONCE)
if over > 0 then
  for _, gone in ipairs(redis.call('ZRANGE', USED, 0, over - 1)) do forget(gone) end
end
-- Nothing is left of a cache that is used no more.
for _, index in ipairs({USED, ENDS}) do
  if redis.call('PTTL', index) < live_ms then redis.call('PEXPIRE', index, number(live_ms)) end
end
if held(key, token) then redis.call('DEL', lease(key)) end
return redis.call('ZCARD', USED)
