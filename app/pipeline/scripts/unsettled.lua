-- ARGV: event. Answers {payload, step, value, …}, or nothing where its outcome is not unknown.
local event = ARGV[1]
if not redis.call('ZSCORE', UNKNOWN, event) then return false end
local answer = {redis.call('HGET', record(event), 'payload')}
append_steps(answer, event)
return answer
