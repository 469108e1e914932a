-- ARGV: interval, longest wait. Answer: how long from now the next turn is. The caller has it where it is not further off than
-- the longest wait, and the next one's is an interval later.
local turn = free_from()
if turn - NOW <= tonumber(ARGV[2]) then keep(turn + tonumber(ARGV[1])) end
return turn - NOW
