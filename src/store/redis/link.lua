-- Makes a provider's id find its attempt, and gives the reports that waited for that. One that finds another
-- verification's stays: whoever may speak of one may not have another's reports.
--
-- KEYS  link, parked reports
-- ARGV  the attempt, milliseconds to keep the link

local function verification(attempt)
  return string.match(attempt, '^(.*):')
end

local known = redis.call('GET', KEYS[1])
if known and verification(known) ~= verification(ARGV[1]) then
  return {}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('LRANGE', KEYS[2], 0, -1)
