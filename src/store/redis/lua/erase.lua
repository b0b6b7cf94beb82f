-- Removes what commit.lua has written of one verification. Safe to run twice, and late.
--
-- KEYS  record, due times, and the number's index under every live key
-- ARGV  expected revision (4 bytes), member, tombstone for an index that names the member, its TTL in milliseconds
-- Returns 1 if the record was removed, 0 if there was none, -1 if it has another revision; then nothing is removed.

local expected, member, tombstone, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local record, due_times = KEYS[1], KEYS[2]

local current = redis.call('GET', record)
if current and string.sub(current, 5, 8) ~= expected then
  return -1
end

-- The tombstone comes first: it refuses a creation that arrives late.
for i = 3, #KEYS do
  if string.sub(redis.call('GET', KEYS[i]) or '', 1, 28) == member then
    redis.call('SET', KEYS[i], tombstone, 'PX', ttl)
  end
end
redis.call('ZREM', due_times, member)
redis.call('DEL', record)
return current and 1 or 0
