-- The newest of an app's verifications after a cursor, from all the shards given: strictly by creation time,
-- then shard, then member, all descending. Reads only; what is gone is skipped.
--
-- KEYS  the app's list in one shard or in many
-- ARGV  how many at most, and the cursor: created at or '', shard, member
-- Gives triples: created at, which of KEYS (from 0), member.

local limit, before, before_shard, before_member = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local heads = {}

-- Moves a shard's head to its next entry; false at its end.
local function advance(head)
  while true do
    local found = redis.call('ZREVRANGEBYSCORE', head.key, head.max, '-inf', 'WITHSCORES', 'LIMIT', head.seen, 1)
    if #found == 0 then
      return false
    end
    head.seen = head.seen + 1
    head.member, head.score, head.at = found[1], found[2], tonumber(found[2])
    -- Members are 32 hex digits: text order, in any locale, is their order.
    local is_passed = head.is_cursors and head.at == tonumber(before) and head.member >= before_member
    if not is_passed and redis.call('EXISTS', record_key(head.key, head.member)) == 1 then
      return true
    end
  end
end

for i, key in ipairs(KEYS) do
  local shard = tonumber(string.sub(key, 10, 11), 16)
  local head = { key = key, index = i - 1, shard = shard, seen = 0, max = '+inf' }
  if before ~= '' then
    head.max = shard > tonumber(before_shard) and '(' .. before or before
    head.is_cursors = shard == tonumber(before_shard)
  end
  if advance(head) then
    heads[#heads + 1] = head
  end
end

local answer = {}
while #heads > 0 and #answer < limit * 3 do
  local best = 1
  for i = 2, #heads do
    local one, other = heads[i], heads[best]
    if one.at > other.at or (one.at == other.at and one.shard > other.shard) then
      best = i
    end
  end
  local head = heads[best]
  answer[#answer + 1] = head.score
  answer[#answer + 1] = head.index
  answer[#answer + 1] = head.member
  if not advance(head) then
    table.remove(heads, best)
  end
end
return answer
