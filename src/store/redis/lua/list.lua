-- The newest entries of an app's list of some statuses, from one or more of its lists, each sorted newest first.
-- Redis answers no other client while a script runs, so it reads some SCAN_MAX entries of all lists together, and stops.
--
-- KEYS  lists of the app
-- ARGV  how many at most of each list; the cursor: created at and member, or '' twice; the shards,
--       with blanks between, or '' for all; the numbers of the statuses, or '' for all; the earliest creation time, or ''
-- Returns for each list: the creation time down to which it was read, if it has more, or false; then pairs: created at,
-- member. Entries of one millisecond are in any order and never divided, so that a page may be longer than asked for.

local limit, before, before_member, shards, statuses = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local SCAN_MAX, BATCH_MIN = 1000, 20
local scan_max, batch = math.max(limit, SCAN_MAX / #KEYS), 1 + math.max(limit, BATCH_MIN)
local newest = before and string.format('%.0f', before * STATUSES + STATUSES - 1) or '+inf'
local oldest = ARGV[6] == '' and '-inf' or string.format('%.0f', ARGV[6] * STATUSES)
local answer = {}

for i, list in ipairs(KEYS) do
  local found, read, created_at, is_last = { false }, 0, nil, false
  while not is_last and not found[1] do
    local entries = redis.call('ZREVRANGEBYSCORE', list, newest, oldest, 'WITHSCORES', 'LIMIT', read, batch)
    is_last = #entries < 2 * batch
    for e = 1, #entries, 2 do
      local member, score = entries[e], tonumber(entries[e + 1])
      local status = score % STATUSES
      local at = (score - status) / STATUSES
      if created_at and at ~= created_at and (read >= scan_max or #found > 2 * limit) then
        found[1] = string.format('%.0f', created_at)
        break
      end
      created_at, read = at, read + 1
      -- Members are digits of base 32, so text comparison sorts them, in any locale.
      local is_after = at ~= before or member < before_member
      local is_wanted = statuses == '' or string.find(statuses, string.format('%d', status), 1, true)
      if is_after and is_wanted and (shards == '' or string.find(shards, string.sub(member, 1, 2), 1, true)) then
        found[#found + 1] = string.format('%.0f', at)
        found[#found + 1] = member
      end
    end
  end
  answer[i] = found
end
return answer
