-- Links a provider id to an attempt and returns the reports that waited for it. The link to another verification
-- stays, and its reports are not returned.
--
-- KEYS  link, pending reports
-- ARGV  the attempt, TTL of the link in milliseconds
if not link(KEYS[1], ARGV[1], ARGV[2]) then
  return {}
end
return redis.call('LRANGE', KEYS[2], 0, -1)
