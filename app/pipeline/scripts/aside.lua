-- ARGV: most entries. Answers {payload, state, reason, at, attempts, …}: five values an event, oldest first.
local found = {}
for _, set in ipairs({DEAD, UNKNOWN}) do
  local entries = redis.call('ZRANGE', set, 0, tonumber(ARGV[1]) - 1, 'WITHSCORES')
  for i = 1, #entries, 2 do found[#found + 1] = {entries[i], entries[i + 1]} end
end
table.sort(found, function(a, b) return tonumber(a[2]) < tonumber(b[2]) end)
local answer = {}
for i = 1, math.min(#found, tonumber(ARGV[1])) do
  local fields = redis.call('HMGET', record(found[i][1]), 'payload', 'state', 'reason', 'attempts')
  for _, value in ipairs({fields[1], fields[2], fields[3], found[i][2], fields[4]}) do answer[#answer + 1] = value end
end
return answer
