-- One commit. Safe to run twice, and late: what is there already is committed, and changes nothing.
--
-- KEYS  record, number index, due times, the app's list: all in one slot
-- ARGV  expected revision and the next one (4 bytes each), sealed record, milliseconds to keep it,
--       member, previous member of the number index or '', created at, due at or '',
--       wrong codes of the number, milliseconds to keep the number index, 1 or 0: whether what another server
--       has answered since may be missing
-- Gives 1 when committed, 0 on a conflict, -1 where something may be missing.
--
-- A record is the history it was written in (4 bytes), its revision (4 bytes), and what is sealed.
--
-- Redis refuses a script for want of memory, replicas or the primary's role at its first write, so one that
-- has begun to write is also the one that ends. An ACL is asked at every command, though.

local expected, next_revision, sealed, keep = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local member, previous, created_at, due = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local guesses, keep_newest, may_lack = ARGV[9], ARGV[10], ARGV[11] == '1'
local record, newest, due_times, list = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- A replica gets what is written after it was answered, so one that is made the primary may lack what callers have
-- been told. It goes on under another replication id, and remembers where it left the old one; with appendonly until
-- it starts again. Where there is no such place the history is this.
local ONE_SERVER = '\0\0\0\1'
-- What wrote this knows of no histories.
local UNKNOWN = '\0\0\0\0'

local function history()
  local info = redis.pcall('INFO', 'replication')
  local replication_id = type(info) == 'string' and string.match(info, 'master_replid:(%x+)')
  if not replication_id or not string.find(info, 'second_repl_offset:%d') then
    return ONE_SERVER
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

local is_creation = expected == string.rep('\0', 4)
if is_creation then
  if current or string.sub(redis.call('GET', newest) or '', 1, 32) ~= previous then
    return 0
  end
elseif not current or string.sub(current, 5, 8) ~= expected then
  return 0
end

local written_in = history()
if not (is_creation or may_lack) and written_in ~= ONE_SERVER then
  local before = string.sub(current, 1, 4)
  if before ~= written_in and before ~= UNKNOWN then
    return -1
  end
end

if is_creation then
  -- For one that comes up to four that are gone may leave: the list is as long as what it lists.
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

-- What many share lives as long as the longest of them.
for _, shared in ipairs({ due_times, list }) do
  local left = redis.call('PTTL', shared)
  if left ~= -2 and left < keep then
    redis.call('PEXPIRE', shared, keep)
  end
end

-- Last, as these say that all is done: where an ACL forbids one of the commands above, nothing is committed.
if is_creation or string.sub(redis.call('GET', newest) or '', 1, 32) == member then
  redis.call('SET', newest, member .. guesses, 'PX', keep_newest)
end
redis.call('SET', record, written_in .. next_revision .. sealed, 'PX', keep)
return 1
