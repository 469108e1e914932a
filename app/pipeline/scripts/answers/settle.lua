-- ARGV: key, token, outcome ('': none, the next one takes over), milliseconds for those who wait to hear of it. 1: the lease was held.
local key, token, told, told_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not held(key, token) then return 0 end
redis.call('DEL', lease(key)) -- allowed when memory is full, and so is what follows
if told ~= '' then redis.call('SET', outcome(token), told, 'PX', told_ms) end
return 1
