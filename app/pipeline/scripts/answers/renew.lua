-- ARGV: key, token, lease milliseconds. 0: the lease is another's now.
if not held(ARGV[1], ARGV[2]) then return 0 end
return redis.call('PEXPIRE', lease(ARGV[1]), ARGV[3])
