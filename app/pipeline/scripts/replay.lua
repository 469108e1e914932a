-- ARGV: event. It goes to the end of its conversation, with fresh attempts; steps already done stay done.
local event = ARGV[1]
if redis.call('ZREM', DEAD, event) + redis.call('ZREM', UNKNOWN, event) == 0 then return 0 end
local conversation = redis.call('HGET', record(event), 'conversation')
redis.call('HSET', record(event), 'state', 'queued', 'attempts', 0, 'excused', 0)
redis.call('HDEL', record(event), 'reason', 'token', 'begun')
redis.call('ZADD', BACKLOG, number(NOW), event)
note(event, 'replayed')
if redis.call('RPUSH', members(conversation), event) == 1 then offer(conversation, NOW) end
return 1
