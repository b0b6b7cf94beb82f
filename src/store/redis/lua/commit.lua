-- One commit. Safe to run twice, and late: if the store holds it already, it answers the same and changes nothing.
--
-- KEYS  record, number index, due times; the counters; for each link: link, pending reports; the app's list, if it changes;
--       the mark that the number has been verified, if this verifies it.
--       In a cluster there are neither counters nor links nor a list, because they have slots of their own.
-- ARGV  mode: 'create', 'update', or 'accept_stale' to update a record that may be stale since a failover;
--       history and kind of the server or '' to ask it, the histories (4 bytes each) of servers that have had replicas,
--       expected revision (4 bytes) and end of the seal (8 bytes), next revision,
--       sealed record, TTL of the record in milliseconds, member, due at or '',
--       id (17 bytes), purpose (8 bytes), the id that the number index must name for the purpose or '',
--       1 to compare the wrong codes of the number or 0, those that the index must hold, those after the commit,
--       TTL that the index needs or '', member of the session that joins or '', score of what the list is to hold or '',
--       how long any record is kept in milliseconds, TTL of the mark that the number has been verified or '',
--       number of counters, number of links, number of entries of the list whose score changes;
--       the counters (see counters.lua); for each such entry: score, member;
--       for each link: the attempt, how many of its pending reports are applied
-- Returns first what happened, second history and kind of the server (5 bytes), then:
--   1 committed
--   0 the record has another version: the record, or nothing if it is gone
--   2 the number index names another verification for the purpose, or holds other wrong codes: its value, or nothing
--   3 a limit is reached: index of the counter (from 0), its text
--   4 reports wait for a link: index of the link (from 0), the reports
--   5 the number index holds other wrong codes than the update expects: these
--   -1 the record may be stale: the history that it was written in
--
-- A record is the history that it was written in (4 bytes), its revision (4 bytes) and the sealed bytes. The key of a session
-- that joined holds an alias instead: zeros for history and revision, then the id of the record (17 bytes).
--
-- Redis refuses a script for lack of memory, lack of replicas or a replica's role at its first write, so a script
-- that has begun to write also finishes. ACLs are different: Redis checks them at every command.

local mode, server, replicated, expected, next_revision, sealed = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local ttl, member, due, id, purpose, previous = ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local compares_guesses, expected_guesses, guesses_after = ARGV[13] == '1', ARGV[14], ARGV[15]
local index_ttl, session, added, longest_ttl = ARGV[16], ARGV[17], ARGV[18], ARGV[19]
local verified_ttl, counters, links, changed = ARGV[20], tonumber(ARGV[21]), tonumber(ARGV[22]), tonumber(ARGV[23])
local record, newest, due_times = KEYS[1], KEYS[2], KEYS[3]
local FIRST_COUNTER, AFTER = 4, 24

-- In a cluster the script asks, because redis-rs keeps the connections to the nodes to itself.
if server == '' then
  server = this_server()
end
local history, kind = string.sub(server, 1, 4), string.sub(server, 5)
for at = 1, #replicated, 4 do
  if kind == ALONE and string.sub(replicated, at, at + 3) == history then
    kind = REPLICATED
  end
end
server = history .. kind

-- Whether this server has everything that was acknowledged of a record which was last written in another history.
local function is_continued(written_in)
  if written_in == history or (written_in == OF_ONE_SERVER and kind ~= PROMOTED) then
    return true
  end
  local function hex(bytes)
    return (string.gsub(bytes, '.', function(byte)
      return string.format('%02x', string.byte(byte))
    end))
  end
  -- Beside the due times: of the shard in a cluster, else of all.
  return redis.call('GET', string.sub(due_times, 1, -4) .. 'from:' .. hex(history) .. ':' .. hex(written_in))
end

local is_creation = mode == 'create'
local index = (is_creation or compares_guesses) and redis.call('GET', newest)
local entries, guesses = read_index(index)
local has_same_guesses = not compares_guesses or guesses == expected_guesses
local current
if is_creation then
  local at = find_purpose(entries, purpose)
  local named = at and string.sub(entries, at, at + ID - 1) or ''
  if named == id then
    local stored = redis.call('GET', record)
    return stored and string.sub(stored, 5) == next_revision .. sealed and { 1, server } or { 2, server, index }
  end
  if named ~= previous or not has_same_guesses then
    return { 2, server, index }
  end
  entries = name_newest(entries, at, id, purpose)
else
  current = redis.call('GET', record)
  local revision = current and string.sub(current, 5, 8)
  -- The revision first: each text of a record's length that Lua makes is costly.
  if revision == next_revision and string.sub(current, 9) == sealed then
    return { 1, server }
  end
  -- A sealed record is longer than its end; tests also write shorter ones.
  local seal_end = current and string.sub(current, math.max(9, #current - 7))
  if not current or revision .. string.rep('\0', 8 - #seal_end) .. seal_end ~= expected then
    return { 0, server, current }
  end
  if not has_same_guesses then
    return { 5, server, guesses }
  end
end

if mode == 'update' and not is_continued(string.sub(current, 1, 4)) then
  return { -1, server, string.sub(current, 1, 4) }
end

local writes, full, text = counters_after(FIRST_COUNTER, FIRST_COUNTER + counters - 1, AFTER)
if not writes then
  return { 3, server, full, text }
end

-- Reports wait only where there is no link yet.
local first_link, link_arguments = FIRST_COUNTER + counters, #ARGV - 2 * links
for i = 0, links - 1 do
  local reports = redis.call('LRANGE', KEYS[first_link + 2 * i + 1], '0', '-1')
  if #reports ~= tonumber(ARGV[link_arguments + 2 * i + 2]) then
    return { 4, server, i, reports }
  end
end

write_counters(writes)
for i = 0, links - 1 do
  link(KEYS[first_link + 2 * i], ARGV[link_arguments + 2 * i + 1], longest_ttl)
  if ARGV[link_arguments + 2 * i + 2] ~= '0' then
    redis.call('DEL', KEYS[first_link + 2 * i + 1])
  end
end
local list = KEYS[first_link + 2 * links]
if added ~= '' then
  add_to_list(list, added, session == '' and member or session, longest_ttl)
  trim_list(list, oldest_kept(added, longest_ttl), member)
elseif changed > 0 then
  redis.call('ZADD', list, 'XX', unpack(ARGV, link_arguments - 2 * changed + 1, link_arguments))
end
if verified_ttl ~= '' then
  redis.call('SET', KEYS[#KEYS], '', 'PX', verified_ttl)
end
if due == '' then
  redis.call('ZREM', due_times, member)
else
  add_due(due_times, due, member)
end

-- The record comes last: if an ACL forbids one of the commands above, nothing is committed.
if session ~= '' then
  redis.call('SET', record_key(session), '\0\0\0\0\0\0\0\0' .. id, 'PX', longest_ttl)
end
if compares_guesses then
  guesses = guesses_after
end
if is_creation or (compares_guesses and guesses ~= expected_guesses) then
  set_index(newest, index_of(entries, guesses), not index, index_ttl, longest_ttl)
elseif index_ttl ~= '' and redis.call('PTTL', newest) < tonumber(index_ttl) then
  redis.call('PEXPIRE', newest, index_ttl)
end
redis.call('SET', record, (kind == ALONE and OF_ONE_SERVER or history) .. next_revision .. sealed, 'PX', ttl)
return { 1, server }
