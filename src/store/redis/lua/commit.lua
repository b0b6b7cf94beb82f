-- One commit. Safe to run twice, and late: if the store holds it already, it answers 1 and changes nothing.
--
-- KEYS  record, number index, due times, the app's list: all in one slot
-- ARGV  expected revision and the next one (4 bytes each), sealed record, TTL of the record in milliseconds,
--       member, previous member of the number index or '', created at, due at or '',
--       wrong codes of the number, TTL of the number index in milliseconds,
--       mode: 'create', 'update', or 'accept_stale' to update a record that may be stale since a failover
-- Returns 1 if committed, 0 on a conflict, -1 if the record may be stale.
--
-- A record is the history that it was written in (4 bytes), its revision (4 bytes) and the sealed bytes.
--
-- Redis refuses a script for lack of memory, lack of replicas or a replica's role at its first write, so a script
-- that has begun to write also finishes. ACLs are different: Redis checks them at every command.

local expected, next_revision, sealed, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local member, previous, created_at, due = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local guesses, newest_ttl, mode = ARGV[9], ARGV[10], ARGV[11]
local record, newest, due_times, list = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- Redis replicates after it has answered, so a promoted replica may lack acknowledged writes. A promotion changes the
-- replication id, and the server remembers the offset at which the old id ended (with appendonly, until it restarts).
-- A server without such an offset was never promoted; its history has this name.
local NEVER_PROMOTED = '\0\0\0\1'
-- Written by a version that recorded no history.
local UNKNOWN = '\0\0\0\0'

local function history()
  local info = redis.pcall('INFO', 'replication')
  local replication_id = type(info) == 'string' and string.match(info, 'master_replid:(%x+)')
  if not replication_id or not string.find(info, 'second_repl_offset:%d') then
    return NEVER_PROMOTED
  end
  local bytes = string.gsub(string.sub(replication_id, 1, 8), '..', function(hex)
    return string.char(tonumber(hex, 16))
  end)
  return bytes
end

local current = redis.call('GET', record)
if current and string.sub(current, 5) == next_revision .. sealed then
  return 1
end

local is_creation = mode == 'create'
if is_creation then
  if current or string.sub(redis.call('GET', newest) or '', 1, 32) ~= previous then
    return 0
  end
elseif not current or string.sub(current, 5, 8) ~= expected then
  return 0
end

local current_history = history()
if mode == 'update' and current_history ~= NEVER_PROMOTED then
  local written_in = string.sub(current, 1, 4)
  if written_in ~= current_history and written_in ~= UNKNOWN then
    return -1
  end
end

if is_creation then
  -- Each creation removes up to four entries whose record is gone, so the list does not outgrow what it lists.
  for _, old in ipairs(redis.call('ZRANGE', list, 0, 3)) do
    if redis.call('EXISTS', record_key(list, old)) == 0 then
      redis.call('ZREM', list, old)
    end
  end
  redis.call('ZADD', list, created_at, member)
end

if due == '' then
  redis.call('ZREM', due_times, member)
else
  redis.call('ZADD', due_times, due, member)
end

-- A shared key lives as long as the longest-lived record in it.
for _, shared in ipairs({ due_times, list }) do
  local left = redis.call('PTTL', shared)
  if left ~= -2 and left < ttl then
    redis.call('PEXPIRE', shared, ttl)
  end
end

-- The record comes last: if an ACL forbids one of the commands above, nothing is committed.
if is_creation or string.sub(redis.call('GET', newest) or '', 1, 32) == member then
  redis.call('SET', newest, member .. guesses, 'PX', newest_ttl)
end
redis.call('SET', record, current_history .. next_revision .. sealed, 'PX', ttl)
return 1
