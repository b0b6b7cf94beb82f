-- Adds a webhook to an app's list of those that no receiver has taken, or gives it a new time, and removes old ones. Safe to
-- run twice.
--
-- KEYS  the list
-- ARGV  when it was given up in milliseconds, member, how long it is kept in milliseconds
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', ARGV[1] - ARGV[3]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
