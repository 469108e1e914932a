-- KEYS: the heads (hash: writer -> "<seq> <hash>"), when each last moved (sorted set), since when there are any. ARGV: writer, seq, hash, milliseconds
-- after which the head of a writer that is gone is forgotten. Answers 1, or 0 where the head stands further on, or there already
-- with another hash: then it is left as it is.
local heads, moved, since = KEYS[1], KEYS[2], KEYS[3]
local writer, seq, hash, kept = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stands = redis.call('HGET', heads, writer)
if stands then
  local at, known = string.match(stands, '^(%d+) (%x+)$')
  if tonumber(at) > seq or (tonumber(at) == seq and known ~= hash) then return 0 end
end
redis.call('SET', since, string.format('%.0f', now), 'NX')
redis.call('HSET', heads, writer, ARGV[2] .. ' ' .. hash)
redis.call('ZADD', moved, string.format('%.0f', now), writer)
for _, old in ipairs(redis.call('ZRANGEBYSCORE', moved, '-inf', string.format('%.0f', now - kept), 'LIMIT', 0, 16)) do
  redis.call('HDEL', heads, old)
  redis.call('ZREM', moved, old)
end
return 1
