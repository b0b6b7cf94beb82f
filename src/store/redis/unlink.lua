-- Forgets what a provider's id finds, unless that is another verification's, and the reports that wait for it.
--
-- KEYS  link, parked reports
-- ARGV  the verification

local known = redis.call('GET', KEYS[1])
if not known or string.match(known, '^(.*):') == ARGV[1] then
  redis.call('DEL', KEYS[1], KEYS[2])
end
