-- ARGV: event, token, delay milliseconds, '1' if the attempt counts, most attempts, reason. Answers the event's state, or 'lost'.
local event, token, delay_ms, counted = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local max_attempts, reason = tonumber(ARGV[5]), ARGV[6]
local standing = fence(event, token, 'retrying')
if standing == 'repeated' then return 'retrying' end
if standing == 'lost' then
  return fence(event, token, 'dead') == 'repeated' and 'dead' or 'lost'
end
allow_when_full(event)
redis.call('ZREM', LEASES, event)
redis.call('HDEL', record(event), 'intent')
if not counted then redis.call('HINCRBY', record(event), 'excused', 1) end
if spent(event, max_attempts) then
  set_aside(event, 'dead', reason)
  return 'dead'
end
redis.call('HSET', record(event), 'state', 'retrying')
note(event, 'retry', string.format('in %.1f s: ', delay_ms / 1000) .. reason)
offer(redis.call('HGET', record(event), 'conversation'), NOW + delay_ms)
return 'retrying'
