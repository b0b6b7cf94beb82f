-- Links a provider id to an attempt and returns the reports that waited for it. The link to another verification
-- stays, and its reports are not returned.
--
-- KEYS  link, pending reports
-- ARGV  the attempt, TTL of the link in milliseconds

local function verification(attempt)
  return string.match(attempt, '^(.*):')
end

local known = redis.call('GET', KEYS[1])
if known and verification(known) ~= verification(ARGV[1]) then
  return {}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('LRANGE', KEYS[2], 0, -1)
