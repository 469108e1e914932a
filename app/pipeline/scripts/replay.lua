-- ARGV: event
local event = ARGV[1]
if redis.call('ZREM', DEAD, event) + redis.call('ZREM', UNKNOWN, event) == 0 then return 0 end
note(event, 'replayed')
requeue(event)
return 1
