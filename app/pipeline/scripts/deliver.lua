-- ARGV: limit, and for each event its key, conversation and payload. Answers a word for each.
local limit = tonumber(ARGV[1])
local stored = redis.call('ZCARD', BACKLOG) + redis.call('ZCARD', DEAD) + redis.call('ZCARD', UNKNOWN)
local answer = {}
for i = 2, #ARGV, 3 do
  local event, conversation, payload = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if redis.call('EXISTS', record(event)) == 1 then
    answer[#answer + 1] = 'duplicate'
  elseif stored >= limit then
    answer[#answer + 1] = 'refused'
  else
    stored = stored + 1
    redis.call('HSET', record(event), 'conversation', conversation, 'payload', payload, 'state', 'queued', 'attempts', 0)
    redis.call('ZADD', BACKLOG, number(NOW), event)
    redis.call('RPUSH', timeline(event), number(NOW) .. ' accepted ') -- its first entry: there is nothing to trim
    if redis.call('RPUSH', members(conversation), event) == 1 then offer(conversation, NOW) end
    answer[#answer + 1] = 'accepted'
  end
end
return answer
