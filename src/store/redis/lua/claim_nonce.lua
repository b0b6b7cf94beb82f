-- Precedes find_or_keep.lua for a signed report: claims its nonce for its content, or returns 0 if the nonce was
-- claimed for other content. The three keys are in different slots, so a cluster cannot run it.
--
-- KEYS  those of find_or_keep.lua, and the nonce
-- ARGV  those of find_or_keep.lua, hash of the content, TTL of the nonce in milliseconds
local claimed = redis.call('GET', KEYS[3])
if claimed and claimed ~= ARGV[4] then
  return 0
end
redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[5])

