-- Answers {backlog, leased, dead, unknown, age of the oldest in milliseconds}.
local head = redis.call('ZRANGE', BACKLOG, 0, 0, 'WITHSCORES')
return {redis.call('ZCARD', BACKLOG), redis.call('ZCARD', LEASES), redis.call('ZCARD', DEAD), redis.call('ZCARD', UNKNOWN),
  #head > 0 and NOW - tonumber(head[2]) or 0}
