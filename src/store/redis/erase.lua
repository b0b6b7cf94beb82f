-- Removes what commit.lua has written of one verification. Safe to run twice, and late.
--
-- KEYS  record, due times, the app's list, and the number's index under every live key: all in one slot
-- ARGV  expected revision (4 bytes), member, what an index that names it is to hold instead, milliseconds to keep that
-- Gives 1 when it was there, 0 when it was not, -1 when it has changed since: then nothing is removed.

local expected, member, instead, keep = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local record, due_times, list = KEYS[1], KEYS[2], KEYS[3]

local current = redis.call('GET', record)
if current and string.sub(current, 5, 8) ~= expected then
  return -1
end

-- First, and for a while: it keeps a creation that comes late from coming true.
for i = 4, #KEYS do
  if string.sub(redis.call('GET', KEYS[i]) or '', 1, 32) == member then
    redis.call('SET', KEYS[i], instead, 'PX', keep)
  end
end
redis.call('ZREM', due_times, member)
redis.call('DEL', record)
-- Last: what is not listed is not found by whoever tries again.
redis.call('ZREM', list, member)
return current and 1 or 0
