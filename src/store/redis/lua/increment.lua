-- Adds to counters, all or none: none if one of them would exceed a limit, or if the number has a verification.
--
-- KEYS  the number index, if it is to be checked, then the counters; each is in a slot of its own, so in a cluster
--       there is only one key
-- ARGV  1 if the first key is a number index, else 0; then for each counter: amount, 1 to ignore the limits or 0,
--       TTL in milliseconds, number of limits; and for each limit: maximum, window in seconds, the first step that
--       counts, the current step
-- Returns nothing if all amounts were added; 'found' and the value of the index; or 'full', the index of the counter
-- (from 0), and its content as pairs: window:step, amount.

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
  local amount, ignores_limits, ttl, limits =
    tonumber(ARGV[at]), ARGV[at + 1] == '1', ARGV[at + 2], tonumber(ARGV[at + 3])
  at = at + 4
  local held = redis.call('HGETALL', KEYS[i])
  local write = { key = KEYS[i], amount = ARGV[at - 4], ttl = ttl, fields = {}, expired = {} }
  for _ = 1, limits do
    local maximum, window, oldest, current = tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
    at = at + 4
    local sum = amount
    for f = 1, #held, 2 do
      local of, step = string.match(held[f], '^(%d+):(%d+)$')
      if of == window then
        if tonumber(step) >= oldest then
          sum = sum + tonumber(held[f + 1])
        else
          write.expired[#write.expired + 1] = held[f]
        end
      end
    end
    if not ignores_limits and sum > maximum then
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
  if #write.expired > 0 then
    redis.call('HDEL', write.key, unpack(write.expired))
  end
  redis.call('PEXPIRE', write.key, write.ttl)
end
return {}
