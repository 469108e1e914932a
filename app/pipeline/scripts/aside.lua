-- ARGV: most entries, state ('' for both), and the last entry seen: its time and key (0 and '' to begin).
-- Answers {event, state, reason, at, attempts, …}: five values an event, oldest first, those of one millisecond by their key.
-- Lua compares texts by the server's locale (strcoll); a sorted set, and the caller, go by bytes.
local function before(a, b)
  for i = 1, math.min(#a, #b) do
    local one, other = string.byte(a, i), string.byte(b, i)
    if one ~= other then return one < other end
  end
  return #a < #b
end

local limit, state, after_at, after_key = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local found = {}
for name, set in pairs({dead = DEAD, unknown = UNKNOWN}) do
  if state == '' or state == name then
    local seen = redis.call('ZCOUNT', set, '-inf', '(' .. after_at)
    for _, event in ipairs(redis.call('ZRANGEBYSCORE', set, after_at, after_at)) do
      if not before(after_key, event) then seen = seen + 1 end
    end
    local entries = redis.call('ZRANGE', set, seen, seen + limit - 1, 'WITHSCORES')
    for i = 1, #entries, 2 do found[#found + 1] = {event = entries[i], at = tonumber(entries[i + 1])} end
  end
end
table.sort(found, function(a, b)
  if a.at ~= b.at then return a.at < b.at end
  return before(a.event, b.event)
end)
local answer = {}
for i = 1, math.min(#found, limit) do
  for _, value in ipairs(shown(found[i].event, found[i].at)) do answer[#answer + 1] = value end
end
return answer
