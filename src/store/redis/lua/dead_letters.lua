-- Some webhooks of an app that no receiver has taken, newest first.
--
-- KEYS  the list
-- ARGV  how many at most; the place to go on from: when it was given up and member, or '' twice
-- Returns pairs: member, when it was given up.

local limit, before, before_member = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local newest = before == '' and '+inf' or before
local found, read = {}, 0
while true do
  local entries = redis.call('ZREVRANGEBYSCORE', KEYS[1], newest, '-inf', 'WITHSCORES', 'LIMIT', read, limit)
  for e = 1, #entries, 2 do
    local member, at = entries[e], entries[e + 1]
    -- Entries of one millisecond come in descending order of their members.
    if at ~= before or member < before_member then
      found[#found + 1] = { member, at }
      if #found == limit then
        return found
      end
    end
  end
  if #entries < 2 * limit then
    return found
  end
  read = read + limit
end
