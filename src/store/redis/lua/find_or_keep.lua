-- Finds the attempt of a provider id. Without one it keeps the report, once, if there is room.
--
-- KEYS  link, pending reports
-- ARGV  the report, TTL of the pending reports in milliseconds, how many may wait
-- Returns the attempt or false.

local found = redis.call('GET', KEYS[1])
if found then
  return found
end
local pending = redis.call('LRANGE', KEYS[2], 0, -1)
local is_new = true
for _, report in ipairs(pending) do
  is_new = is_new and report ~= ARGV[1]
end
if is_new and #pending < tonumber(ARGV[3]) then
  redis.call('RPUSH', KEYS[2], ARGV[1])
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return false
