-- ARGV: event, token, what ('note', 'intent' or 'outcome'), stage or step, detail or value
local event, token, what, name, value = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if fence(event, token) ~= 'held' then return 'lost' end
allow_when_full(event)
if what == 'note' then
  note(event, name, value)
elseif what == 'intent' then
  redis.call('HSET', record(event), 'intent', name)
  note(event, 'intent', name)
else
  redis.call('HDEL', record(event), 'intent')
  redis.call('HSET', record(event), 'step:' .. name, value)
  note(event, name)
end
return 'held'
