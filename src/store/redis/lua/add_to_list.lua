-- Adds a verification to an app's list, for a cluster, where the list has a slot of its own.
--
-- KEYS  the list
-- ARGV  created at, member, how long any record is kept, in milliseconds
add_to_list(KEYS[1], tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]))
return 1
