-- Removes a due time whose record is gone.
--
-- KEYS  record, due times of its shard
-- ARGV  member

if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return true
