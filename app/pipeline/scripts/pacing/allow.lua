-- ARGV: how many, within how long. The key is a list of the last admissions' times. Answer: 0, or how long until there is room.
local many, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local earliest = tonumber(redis.call('LINDEX', KEY, -many) or 0)
if NOW - earliest < window then return math.max(1, math.min(window, window - (NOW - earliest))) end
redis.call('RPUSH', KEY, number(NOW))
redis.call('LTRIM', KEY, -many, -1)
redis.call('PEXPIRE', KEY, number(window))
return 0
