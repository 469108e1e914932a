-- KEYS[1]: what all keys begin with. ARGV: conversation, event, turn, its characters, most turns, most characters, milliseconds to
-- live, most conversations. 1: the turn was added; 0: this event has one already.
-- `turns:<conversation>` lists "<event> <characters> <turn>", oldest first; `used` orders the conversations by their last turn.
local P = KEYS[1]
local USED = P .. ':used'
local TIME = redis.call('TIME')
local NOW = TIME[1] * 1000 + math.floor(TIME[2] / 1000)
local conversation, event, turn, characters = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local most_turns, most_characters, live_ms, limit = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])

local function number(value) return string.format('%.0f', value) end
local function turns(name) return P .. ':turns:' .. name end

local kept = redis.call('LRANGE', turns(conversation), 0, -1)
for _, line in ipairs(kept) do
  if string.match(line, '^%S+') == event then return 0 end
end
kept[#kept + 1] = event .. ' ' .. characters .. ' ' .. turn
redis.call('RPUSH', turns(conversation), kept[#kept])

-- The newest that fit; never less than one, which the caller has cut to fit.
local function size(line) return tonumber(string.match(line, '^%S+ (%d+)')) end
local first, left = #kept, most_characters - size(kept[#kept])
while first > 1 and #kept - first + 1 < most_turns do
  left = left - size(kept[first - 1])
  if left < 0 then break end
  first = first - 1
end
redis.call('LTRIM', turns(conversation), first - 1, -1)
redis.call('PEXPIRE', turns(conversation), number(live_ms))

redis.call('ZADD', USED, number(NOW), conversation)
redis.call('ZREMRANGEBYSCORE', USED, '-inf', number(NOW - live_ms)) -- those lists have expired
local over = math.min(redis.call('ZCARD', USED) - limit, 1000)
if over > 0 then
  for _, gone in ipairs(redis.call('ZRANGE', USED, 0, over - 1)) do
    redis.call('DEL', turns(gone))
    redis.call('ZREM', USED, gone)
  end
end
if redis.call('PTTL', USED) < live_ms then redis.call('PEXPIRE', USED, number(live_ms)) end
return 1
