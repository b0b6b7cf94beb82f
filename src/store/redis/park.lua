-- Finds the attempt of a provider's id; without one keeps the report, once, if there is room.
--
-- KEYS  link, parked reports
-- ARGV  the report, milliseconds to keep it, how many may wait
-- Gives the attempt or false.

local found = redis.call('GET', KEYS[1])
if found then
  return found
end
local waiting = redis.call('LRANGE', KEYS[2], 0, -1)
local is_new = true
for _, report in ipairs(waiting) do
  is_new = is_new and report ~= ARGV[1]
end
if is_new and #waiting < tonumber(ARGV[3]) then
  redis.call('RPUSH', KEYS[2], ARGV[1])
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return false
