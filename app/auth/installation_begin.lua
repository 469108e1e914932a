-- KEYS: the counter of this window, the state. ARGV: the most in a window, its milliseconds, the state's milliseconds, its value.
-- Answers 1, or 0 where too many have begun.
local begun = redis.call('INCR', KEYS[1])
if begun == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if begun > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[3])
return 1
