-- ARGV: event. Answers {event, state, reason, at, attempts}, or nothing where it is not set aside.
local event = ARGV[1]
local at = redis.call('ZSCORE', DEAD, event) or redis.call('ZSCORE', UNKNOWN, event)
return at and shown(event, tonumber(at))
