-- Shared by every script; prepended to it. KEYS[1] is the hash tag that all keys begin with, so that one node holds them all.
-- A script is atomic. Its numbers are milliseconds by the server's clock.
local P = KEYS[1]
local READY, LEASES, BACKLOG = P .. ':ready', P .. ':leases', P .. ':backlog'
local DEAD, UNKNOWN, WAKE = P .. ':dead', P .. ':unknown', P .. ':wake'
local TIME = redis.call('TIME')
local NOW = TIME[1] * 1000 + math.floor(TIME[2] / 1000)
local TIMELINE_LIMIT, WAKE_LIMIT = 64, 256

local function number(value) return string.format('%.0f', value) end
local function record(event) return P .. ':event:' .. event end
local function timeline(event) return P .. ':timeline:' .. event end
local function members(conversation) return P .. ':conversation:' .. conversation end

local function note(event, stage, detail)
  redis.call('RPUSH', timeline(event), number(NOW) .. ' ' .. stage .. ' ' .. (detail or ''))
  redis.call('LTRIM', timeline(event), -TIMELINE_LIMIT, -1)
end

-- The head of the conversation may be leased from `due` on. Idle workers learn of it; they sleep until the earliest one.
local function offer(conversation, due)
  redis.call('ZADD', READY, number(due), conversation)
  if redis.call('LLEN', WAKE) < WAKE_LIMIT then redis.call('RPUSH', WAKE, '1') end
end

-- Take an event out of its conversation: its successor's turn.
local function leave(event)
  local conversation = redis.call('HGET', record(event), 'conversation')
  redis.call('ZREM', LEASES, event)
  redis.call('ZREM', BACKLOG, event)
  redis.call('LREM', members(conversation), 1, event)
  if redis.call('LLEN', members(conversation)) > 0 then
    offer(conversation, NOW)
  else
    redis.call('ZREM', READY, conversation)
  end
end

local function set_aside(event, state, reason)
  leave(event)
  redis.call('HDEL', record(event), 'intent')
  redis.call('HSET', record(event), 'state', state, 'reason', reason)
  redis.call('ZADD', state == 'dead' and DEAD or UNKNOWN, number(NOW), event)
  note(event, state, reason)
end

-- What is told of an event that is set aside: nothing of what was said.
local function shown(event, at)
  local fields = redis.call('HMGET', record(event), 'state', 'reason', 'attempts')
  return {event, fields[1], fields[2], number(at), fields[3]}
end

-- To the end of its conversation, with fresh attempts; steps already done stay done.
local function requeue(event)
  local conversation = redis.call('HGET', record(event), 'conversation')
  redis.call('HSET', record(event), 'state', 'queued', 'attempts', 0, 'excused', 0)
  redis.call('HDEL', record(event), 'reason', 'token', 'begun')
  redis.call('ZADD', BACKLOG, number(NOW), event)
  if redis.call('RPUSH', members(conversation), event) == 1 then offer(conversation, NOW) end
end

-- The recorded outcomes: step, value, …
local function append_steps(answer, event)
  local fields = redis.call('HGETALL', record(event))
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 5) == 'step:' then
      answer[#answer + 1] = string.sub(fields[i], 6)
      answer[#answer + 1] = fields[i + 1]
    end
  end
end

local function spent(event, max_attempts)
  local counts = redis.call('HMGET', record(event), 'attempts', 'excused')
  return tonumber(counts[1]) - tonumber(counts[2] or 0) >= max_attempts
end

-- Redis checks its memory limit at a script's first write alone. Whatever works the backlog off begins with one that is allowed
-- when memory is full, so that a full Redis refuses new events but still drains.
local function allow_when_full(event) redis.call('HDEL', record(event), 'nothing') end

-- 'held': the caller's lease stands. 'repeated': this very lease already led to `target`, only the answer was lost. Else 'lost'.
local function fence(event, token, target)
  local found = redis.call('HMGET', record(event), 'token', 'state')
  if found[1] ~= token then return 'lost' end
  if found[2] == 'leased' then return 'held' end
  if found[2] == target then return 'repeated' end
  return 'lost'
end

-- What was said is not kept longer than needed; the deduplication mark and the trace are, for a while.
local function forget(event, finished_ms)
  for _, field in ipairs(redis.call('HKEYS', record(event))) do
    if field == 'payload' or string.sub(field, 1, 5) == 'step:' then redis.call('HDEL', record(event), field) end
  end
  redis.call('PEXPIRE', record(event), finished_ms)
  redis.call('PEXPIRE', timeline(event), finished_ms)
end
