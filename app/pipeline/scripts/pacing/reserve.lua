-- ARGV: interval. Answer: how long from now the caller's turn is; the next one's is an interval later.
local turn = free_from()
keep(turn + tonumber(ARGV[1]))
return turn - NOW
