-- KEYS[1]: what all keys begin with. ARGV: conversation. Its lines, oldest first.
return redis.call('LRANGE', KEYS[1] .. ':turns:' .. ARGV[1], 0, -1)
