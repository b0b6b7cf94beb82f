-- The newest of an app's verifications after a cursor, from one or more of its lists, each sorted newest first.
-- Redis answers no other client while a script runs, so it reads at most SCAN_MAX entries of a list.
--
-- KEYS  lists of the app
-- ARGV  how many at most of each list; the cursor: created at and member, or '' twice; how the members must begin
-- Returns for each list: where it stopped early, as created at and member, or false twice; then pairs: created at, member.

local limit, before, before_member, prefix = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local SCAN_MAX = 1000
local answer = {}

for i, list in ipairs(KEYS) do
  local found, offset, is_last = { false, false }, 0, false
  while not is_last and #found < 2 * limit + 2 and offset < SCAN_MAX do
    local max = before == '' and '+inf' or before
    local entries = redis.call('ZREVRANGEBYSCORE', list, max, '-inf', 'WITHSCORES', 'LIMIT', offset, limit)
    is_last = #entries < 2 * limit
    offset = offset + limit
    for e = 1, #entries, 2 do
      local member, created_at = entries[e], entries[e + 1]
      -- Members are digits of base 32, so text comparison sorts them, in any locale.
      local is_after = before == '' or created_at ~= before or member < before_member
      if is_after and string.sub(member, 1, #prefix) == prefix and #found < 2 * limit + 2 then
        found[#found + 1] = created_at
        found[#found + 1] = member
      end
      if not is_last then
        found[1], found[2] = created_at, member
      end
    end
  end
  if is_last or #found >= 2 * limit + 2 then
    found[1], found[2] = false, false
  end
  answer[i] = found
end
return answer
