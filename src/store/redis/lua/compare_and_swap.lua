-- Writes a value if it is still the one that was read. Safe to run twice: if it holds the new value, that is success.
--
-- KEYS  value
-- ARGV  the value that was read or '', the new value, its TTL in milliseconds
-- Returns false if written, else the current value, '' for none.

local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] and current ~= ARGV[2] then
  return current
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false
