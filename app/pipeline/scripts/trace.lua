-- ARGV: event. Answers {state, attempts, entry, …} or nothing.
local found = redis.call('HMGET', record(ARGV[1]), 'state', 'attempts')
if not found[1] then return false end
local answer = {found[1], found[2]}
for _, entry in ipairs(redis.call('LRANGE', timeline(ARGV[1]), 0, -1)) do answer[#answer + 1] = entry end
return answer
