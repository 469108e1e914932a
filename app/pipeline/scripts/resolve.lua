-- ARGV: event, step, value. The step of an unknown outcome took place after all: it is recorded, and the event goes on behind it.
local event, step, value = ARGV[1], ARGV[2], ARGV[3]
if redis.call('ZREM', UNKNOWN, event) == 0 then return 0 end
redis.call('HSETNX', record(event), 'step:' .. step, value)
note(event, step, 'found on the platform')
requeue(event)
return 1
