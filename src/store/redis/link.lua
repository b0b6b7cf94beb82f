-- Makes a provider's id find its attempt, and gives the reports that waited for that.
--
-- KEYS  link, parked reports
-- ARGV  the attempt, milliseconds to keep the link

redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('LRANGE', KEYS[2], 0, -1)
