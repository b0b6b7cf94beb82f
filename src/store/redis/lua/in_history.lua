-- Writes one key, if this server writes the history that the caller means, and reads it. Safe to run twice.
--
-- KEYS  the key
-- ARGV  history (4 bytes), value or '' to write nothing, TTL in milliseconds
-- Returns what INFO says of the replication, and the value that the key holds now, or false.
local server, info = this_server()
if ARGV[2] ~= '' and string.sub(server, 1, 4) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return { info, redis.call('GET', KEYS[1]) }
