-- Adds to counts, all or none: none when one of them would be over a limit, or when the number has a verification.
--
-- KEYS  the number index, if it is to be looked at, and then the counts; each in a slot of its own, so in a cluster
--       only one of them
-- ARGV  whether there is a number index (1 or 0); then for each count: amount, whether it is added whatever the limits
--       say (1 or 0), milliseconds to keep it, how many limits; and for each of these: how much, the window in seconds,
--       the first step that counts, the step it is now
-- Gives nothing when all are taken; 'found' and what the index holds; or 'full', which count (from 0), and what it holds
-- as pairs: window:step, amount.

local at, first = 2, 1
if ARGV[1] == '1' then
  local found = redis.call('GET', KEYS[1])
  if found then
    return { 'found', found }
  end
  first = 2
end

local writes = {}
for i = first, #KEYS do
  local amount, is_free, keep, limits = tonumber(ARGV[at]), ARGV[at + 1] == '1', ARGV[at + 2], tonumber(ARGV[at + 3])
  at = at + 4
  local held = redis.call('HGETALL', KEYS[i])
  local write = { key = KEYS[i], amount = ARGV[at - 4], keep = keep, fields = {}, gone = {} }
  for _ = 1, limits do
    local most, window, oldest, current = tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
    at = at + 4
    local sum = amount
    for f = 1, #held, 2 do
      local of, step = string.match(held[f], '^(%d+):(%d+)$')
      if of == window then
        if tonumber(step) >= oldest then
          sum = sum + tonumber(held[f + 1])
        else
          write.gone[#write.gone + 1] = held[f]
        end
      end
    end
    if not is_free and sum > most then
      local answer = { 'full', i - first }
      for f = 1, #held do
        answer[#answer + 1] = held[f]
      end
      return answer
    end
    write.fields[#write.fields + 1] = window .. ':' .. current
  end
  writes[#writes + 1] = write
end

for _, write in ipairs(writes) do
  for _, field in ipairs(write.fields) do
    redis.call('HINCRBY', write.key, field, write.amount)
  end
  if #write.gone > 0 then
    redis.call('HDEL', write.key, unpack(write.gone))
  end
  redis.call('PEXPIRE', write.key, write.keep)
end
return {}
