-- Makes the next verifications of a set due now, after a failover: those of before are then looked at, and those of which
-- something may be missing end at once, instead of at their next request. The others find nothing to do.
--
-- KEYS  due times
-- ARGV  how many at most
-- Returns how many were made due.
local members = redis.call('ZRANGEBYSCORE', KEYS[1], '(0', '+inf', 'LIMIT', 0, ARGV[1])
for _, member in ipairs(members) do
  redis.call('ZADD', KEYS[1], 'XX', 0, member)
end
return #members
