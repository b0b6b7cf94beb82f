-- Adds a verification to an app's list, for a cluster, where the list has a slot of its own, and removes the entries that
-- are older than any record that the present RETENTION keeps.
--
-- KEYS  the list
-- ARGV  score, member, how long any record is kept, in milliseconds
add_to_list(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. oldest_kept(ARGV[1], ARGV[3]))
return 1
