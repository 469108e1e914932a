-- ARGV: event, milliseconds to remember it
local event, finished_ms = ARGV[1], ARGV[2]
if redis.call('ZREM', DEAD, event) + redis.call('ZREM', UNKNOWN, event) == 0 then return 0 end
note(event, 'discarded')
forget(event, finished_ms)
return 1
