-- Leases due verifications and returns their records. Members whose record is gone are removed.
--
-- KEYS  due times: of one shard in a cluster, else of all
-- ARGV  now, end of the lease, how many at most
-- Returns the earliest due time that is left, or false; then pairs: member, record.

local due_times = KEYS[1]
local now, lease_end, room = ARGV[1], ARGV[2], tonumber(ARGV[3])
local answer = { false }

while room > 0 do
  local members = redis.call('ZRANGEBYSCORE', due_times, '-inf', now, 'LIMIT', 0, room)
  if #members == 0 then
    break
  end
  local keys, leases, gone = {}, {}, {}
  for i, member in ipairs(members) do
    keys[i] = record_key(member)
  end
  for i, record in ipairs(redis.call('MGET', unpack(keys))) do
    local member = members[i]
    if record then
      leases[#leases + 1] = lease_end
      leases[#leases + 1] = member
      answer[#answer + 1] = member
      answer[#answer + 1] = record
      room = room - 1
    else
      gone[#gone + 1] = member
    end
  end
  if #leases > 0 then
    redis.call('ZADD', due_times, 'XX', unpack(leases))
  end
  if #gone > 0 then
    redis.call('ZREM', due_times, unpack(gone))
  end
  -- A lease that ends at once would be found due again, for ever.
  if #gone == 0 or tonumber(lease_end) <= tonumber(now) then
    break
  end
end

answer[1] = redis.call('ZRANGE', due_times, 0, 0, 'WITHSCORES')[2] or false
return answer
