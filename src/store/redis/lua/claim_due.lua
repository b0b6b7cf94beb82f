-- Leases due verifications: their due time becomes the end of the lease.
--
-- KEYS  the due times of one or more shards
-- ARGV  now, end of the lease, how many at most
-- Returns the earliest due time that is left, or false; then pairs: index into KEYS (from 0), member.

local now, lease_end, room = ARGV[1], ARGV[2], tonumber(ARGV[3])
local answer, next_due = { false }, nil

for i, due_times in ipairs(KEYS) do
  while room > 0 do
    local members = redis.call('ZRANGEBYSCORE', due_times, '-inf', now, 'LIMIT', 0, room)
    if #members == 0 then
      break
    end
    for _, member in ipairs(members) do
      if redis.call('EXISTS', record_key(due_times, member)) == 1 then
        redis.call('ZADD', due_times, 'XX', lease_end, member)
        answer[#answer + 1] = i - 1
        answer[#answer + 1] = member
        room = room - 1
      else
        redis.call('ZREM', due_times, member)
      end
    end
    -- A lease that ends at once would be found due again, for ever.
    if tonumber(lease_end) <= tonumber(now) then
      break
    end
  end
  local first = redis.call('ZRANGE', due_times, 0, 0, 'WITHSCORES')
  if first[2] and (not next_due or tonumber(first[2]) < next_due) then
    next_due = tonumber(first[2])
    answer[1] = first[2]
  end
end
return answer
