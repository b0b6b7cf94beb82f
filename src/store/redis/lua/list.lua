-- The newest of an app's verifications after a cursor, merged from all given shards: by creation time, then shard,
-- then member, all descending. Entries whose record is gone are skipped and removed from the lists. Redis answers no
-- other client while a script runs, so after GONE_MAX such entries the script stops and returns where to go on.
--
-- KEYS  the app's list in one or more shards
-- ARGV  how many at most, and the cursor: created at or '', shard, member
-- Returns the entries found, and where it stopped early or nothing. Both are triples: created at, index into KEYS
-- (from 0), member.

local limit, before, before_shard, before_member = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local GONE_MAX, CHUNK_MAX = 1000, 32
local heads = {}

-- Reads the next chunk of a shard's list. Entries share a score, so it skips those of the last score it has seen.
local function read(head)
  head.chunk = math.min(head.chunk * 2, CHUNK_MAX)
  local found =
    redis.call('ZREVRANGEBYSCORE', head.key, head.max, '-inf', 'WITHSCORES', 'LIMIT', head.seen, head.chunk)
  for i = 2, #found, 2 do
    head.seen = found[i] == head.max and head.seen + 1 or 1
    head.max = found[i]
  end
  head.entries, head.place, head.is_last = found, 1, #found < head.chunk * 2
end

-- Moves a shard's head to its next entry, whether its record exists or not; false at the end of the list.
local function advance(head)
  while true do
    head.place = head.place + 2
    if head.place > #head.entries then
      if head.is_last then
        return false
      end
      read(head)
      if head.is_last and #head.entries == 0 then
        return false
      end
    end
    head.member, head.score = head.entries[head.place], head.entries[head.place + 1]
    head.at = tonumber(head.score)
    -- Members are 32 hex digits, so text comparison sorts them, in any locale.
    if not (head.has_cursor and head.at == tonumber(before) and head.member >= before_member) then
      return true
    end
  end
end

local function is_newer(one, other)
  return one.at > other.at or (one.at == other.at and one.shard > other.shard)
end

for i, key in ipairs(KEYS) do
  local shard = tonumber(string.sub(key, 10, 11), 16)
  local head = { key = key, index = i - 1, shard = shard, seen = 0, max = '+inf', chunk = 1, entries = {}, place = 1 }
  if before ~= '' then
    head.max = shard > tonumber(before_shard) and '(' .. before or before
    head.has_cursor = shard == tonumber(before_shard)
  end
  if advance(head) then
    heads[#heads + 1] = head
  end
end
-- A sorted array is a heap: each head is newer than the two at twice its place.
table.sort(heads, is_newer)

-- Restores the heap after its first head has changed.
local function sink()
  local head, place = heads[1], 1
  while true do
    local below = place * 2
    if below < #heads and is_newer(heads[below + 1], heads[below]) then
      below = below + 1
    end
    if below > #heads or not is_newer(heads[below], head) then
      break
    end
    heads[place] = heads[below]
    place = below
  end
  heads[place] = head
end

local found, stopped, gone, gone_count = {}, {}, {}, 0
while #heads > 0 and #found < limit * 3 and gone_count < GONE_MAX do
  local head = heads[1]
  if redis.call('EXISTS', record_key(head.key, head.member)) == 1 then
    found[#found + 1] = head.score
    found[#found + 1] = head.index
    found[#found + 1] = head.member
  else
    gone[head.key] = gone[head.key] or {}
    table.insert(gone[head.key], head.member)
    gone_count = gone_count + 1
    stopped = { head.score, head.index, head.member }
  end
  if not advance(head) then
    heads[1] = heads[#heads]
    heads[#heads] = nil
  end
  sink()
end
if #heads == 0 or gone_count < GONE_MAX then
  stopped = {}
end

-- pcall: a server or a user that may not write must still be able to read the list.
for _, key in ipairs(KEYS) do
  if gone[key] then
    redis.pcall('ZREM', key, unpack(gone[key]))
  end
end
return { found, stopped }
