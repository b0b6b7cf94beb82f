-- Removes what commit.lua has written of one verification. Safe to run twice, and late.
--
-- KEYS  record, due times, the number's index under every live key, the aliases of the sessions that joined
-- ARGV  expected revision (4 bytes), member, id (17 bytes), number of indexes,
--       tombstone (17 bytes) for an entry that names the id, TTL of its index in milliseconds without wrong codes and with
-- Returns 1 if the record was removed, 0 if there was none, -1 if it has another revision; then nothing is removed.

local expected, member, id, indexes, tombstone = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local record, due_times = KEYS[1], KEYS[2]

local current = redis.call('GET', record)
if current and string.sub(current, 5, 8) ~= expected then
  return -1
end

-- The tombstone comes first: it refuses a creation that arrives late.
for i = 3, 2 + indexes do
  local entries, guesses = read_index(redis.call('GET', KEYS[i]))
  for at = 1, #entries, ENTRY do
    if string.sub(entries, at, at + ID - 1) == id then
      entries = string.sub(entries, 1, at - 1) .. tombstone .. string.sub(entries, at + ID)
      redis.call('SET', KEYS[i], index_of(entries, guesses), 'PX', guesses == '' and ARGV[6] or ARGV[7])
    end
  end
end
redis.call('ZREM', due_times, member)
for i = 3 + indexes, #KEYS do
  redis.call('DEL', KEYS[i])
end
redis.call('DEL', record)
return current and 1 or 0
