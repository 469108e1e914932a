-- ARGV: event, token, lease milliseconds
local event, token, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
if fence(event, token) ~= 'held' then return 'lost' end
allow_when_full(event)
redis.call('ZADD', LEASES, number(NOW + lease_ms), event)
return 'held'
