-- KEYS[1]: what all keys begin with. ARGV: conversation. 1: there was something to forget.
redis.call('ZREM', KEYS[1] .. ':used', ARGV[1])
return redis.call('DEL', KEYS[1] .. ':turns:' .. ARGV[1])
