-- ARGV: duration. Whoever reserves within it gets a turn after it.
keep(math.max(free_from(), NOW + tonumber(ARGV[1])))
return 'held'
