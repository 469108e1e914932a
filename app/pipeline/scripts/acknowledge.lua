-- ARGV: event, token, milliseconds to remember it
local event, token, finished_ms = ARGV[1], ARGV[2], ARGV[3]
local standing = fence(event, token, 'done')
if standing ~= 'held' then return standing end
allow_when_full(event)
leave(event)
redis.call('HDEL', record(event), 'intent')
redis.call('HSET', record(event), 'state', 'done')
note(event, 'done')
forget(event, finished_ms)
return 'held'
