-- ARGV: worker, lease milliseconds, most attempts. Answers {payload, token, attempt, deadline, tried, step, value, …}, or
-- the milliseconds until something is due (-1: nothing waits).
local worker, lease_ms, max_attempts = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

for _, event in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', number(NOW), 'LIMIT', 0, 100)) do
  redis.call('ZREM', LEASES, event)
  redis.call('HDEL', record(event), 'token') -- nothing matches it any more: the old holder is fenced off
  local intent = redis.call('HGET', record(event), 'intent')
  if intent then
    set_aside(event, 'unknown', 'the worker was lost between intent and outcome of: ' .. intent)
  elseif spent(event, max_attempts) then
    set_aside(event, 'dead', 'the worker was lost, and no attempt is left')
  else
    redis.call('HSET', record(event), 'state', 'retrying')
    note(event, 'retry', 'the lease expired')
    offer(redis.call('HGET', record(event), 'conversation'), NOW)
  end
end

local due = redis.call('ZRANGEBYSCORE', READY, '-inf', number(NOW), 'LIMIT', 0, 1)
if #due == 0 then
  local first = nil
  for _, set in ipairs({READY, LEASES}) do
    local head = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
    if #head > 0 and (not first or tonumber(head[2]) < first) then first = tonumber(head[2]) end
  end
  return first and math.max(first - NOW, 0) or -1
end

local conversation = due[1]
redis.call('ZREM', READY, conversation)
local event = redis.call('LINDEX', members(conversation), 0)
local token = number(redis.call('INCR', P .. ':token'))
local attempt = redis.call('HINCRBY', record(event), 'attempts', 1)
redis.call('HSETNX', record(event), 'begun', number(NOW))
redis.call('HSET', record(event), 'state', 'leased', 'token', token)
redis.call('ZADD', LEASES, number(NOW + lease_ms), event)
note(event, 'leased', 'attempt ' .. number(attempt) .. ' by ' .. worker)

local answer = {redis.call('HGET', record(event), 'payload'), token, attempt, number(NOW + lease_ms)}
answer[#answer + 1] = NOW - tonumber(redis.call('HGET', record(event), 'begun'))
append_steps(answer, event)
return answer
