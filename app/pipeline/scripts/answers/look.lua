-- ARGV: key, the caller's token, lease milliseconds, the token that it waits for ('': none). Answers {'hit', text},
-- {'told', outcome}, {'wait', token of who asks the model} or {'lead', token}: the caller has the lease and asks the model.
local RECENT_MS = 1000 -- a popular answer costs one write a second, not one a question
local key, token, lease_ms, waited = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local text = redis.call('GET', answer(key))
if text then
  local used = redis.call('ZSCORE', USED, key)
  if used and NOW - tonumber(used) >= RECENT_MS then
    -- Redis checks its memory limit at a script's first write alone; this one is allowed when memory is full.
    redis.call('ZREM', USED, '')
    redis.call('ZADD', USED, 'XX', number(NOW), key)
  end
  return {'hit', text}
end

-- Before the lease: who waited for one that failed is told so, though another has begun meanwhile.
local told = waited ~= '' and redis.call('GET', outcome(waited))
if told then return {'told', told} end

if redis.call('SET', lease(key), token, 'NX', 'PX', lease_ms) then return {'lead', token} end
return {'wait', redis.call('GET', lease(key))}
