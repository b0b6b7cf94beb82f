-- Stands before park.lua for a report that is signed: claims its nonce for what it came with, or gives 0 where it came
-- with something else. Three keys of their own slots: not for a cluster.
--
-- KEYS  and the nonce
-- ARGV  and what it came with, milliseconds to keep that
local claimed = redis.call('GET', KEYS[3])
if claimed and claimed ~= ARGV[4] then
  return 0
end
redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[5])

