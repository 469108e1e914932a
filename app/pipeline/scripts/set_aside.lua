-- ARGV: event, token, state ('dead' or 'unknown'), reason
local event, token, state, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local standing = fence(event, token, state)
if standing == 'held' then
  allow_when_full(event)
  set_aside(event, state, reason)
end
return standing
