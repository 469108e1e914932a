-- Shared by every script; prepended to it. KEYS[1] is the one key that the script reads and writes. Its numbers are milliseconds
-- by the server's clock, which all workers share.
local KEY = KEYS[1]
local TIME = redis.call('TIME')
local NOW = TIME[1] * 1000 + math.floor(TIME[2] / 1000)
local function number(value) return string.format('%.0f', value) end

-- The key holds from when on the next send may go; once that has passed, nothing needs to be remembered.
local function free_from() return math.max(NOW, tonumber(redis.call('GET', KEY) or NOW)) end
local function keep(moment)
  if moment > NOW then redis.call('SET', KEY, number(moment), 'PX', number(moment - NOW)) end
end
