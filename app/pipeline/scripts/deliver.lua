-- ARGV: event, conversation, payload, limit
local event, conversation, payload, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if redis.call('EXISTS', record(event)) == 1 then return 'duplicate' end
if redis.call('ZCARD', BACKLOG) + redis.call('ZCARD', DEAD) + redis.call('ZCARD', UNKNOWN) >= limit then return 'refused' end
redis.call('HSET', record(event), 'conversation', conversation, 'payload', payload, 'state', 'queued', 'attempts', 0)
redis.call('ZADD', BACKLOG, number(NOW), event)
note(event, 'accepted')
if redis.call('RPUSH', members(conversation), event) == 1 then offer(conversation, NOW) end
return 'accepted'
