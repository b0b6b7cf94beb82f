-- Deletes the link of a provider id and its pending reports, unless the link is another verification's.
--
-- KEYS  link, pending reports
-- ARGV  the verification

local known = redis.call('GET', KEYS[1])
if not known or string.match(known, '^(.*):') == ARGV[1] then
  redis.call('DEL', KEYS[1], KEYS[2])
end
