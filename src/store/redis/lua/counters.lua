-- Precedes the scripts that count: counters and their limits.
--
-- A counter is a text with a part for each of its windows, and a space between them: `window:step:amount`, where the window
-- is in seconds, its steps are numbered from 1970, and `step` is the one of the last addition. If other steps hold
-- something, `:sum` follows, and `,step:amount` for each. So an addition to the same step reads no other. Steps that do not
-- count any more are dropped when another step becomes the last.
local PART = '(%d+):(%d+):(-?%d+):?(-?%d*)(%S*)'

-- A part whose `step` becomes another one: its amount, the sum of the other steps that count, and their list. `since` is
-- the first step that counts.
local function at_step(step, since, last_step, amount, list)
  local now, sum, others = 0, 0, {}
  for held_in, held in string.gmatch(list .. ',' .. last_step .. ':' .. amount, ',(%d+):(-?%d+)') do
    if held_in == step then
      now = tonumber(held)
    elseif tonumber(held_in) >= tonumber(since) then
      sum = sum + tonumber(held)
      others[#others + 1] = ',' .. held_in .. ':' .. held
    end
  end
  return now, sum, table.concat(others)
end

-- Works out the counters KEYS[first] to KEYS[last] with their amounts added. ARGV has, from `at` on, for each counter:
-- amount, 1 to ignore the limits or 0, TTL in milliseconds, number of limits; and for each limit: maximum, window, the
-- first step that counts, the current step.
-- Returns what to write (key, text, TTL of one after the other), or nil, the index (from 0) and the text of the counter
-- that would exceed a limit.
--
-- Tables are costly here: a creation has seven counters, and each has one or two limits. So a limit is named by its place
-- in ARGV, and the tables are those of all counters.
local function counters_after(first, last, at)
  local held = last >= first and redis.call('MGET', unpack(KEYS, first, last)) or {}
  -- Two attempts of one commit name the same counters.
  local writes, written = {}, {}
  local amounts, sums, lists, parts = {}, {}, {}, {}
  for i = first, last do
    local key = KEYS[i]
    local text = written[key] or held[i - first + 1] or ''
    local amount, ignores_limits, ttl = tonumber(ARGV[at]), ARGV[at + 1] == '1', ARGV[at + 2]
    local limits, after = at + 4, at + 4 + 4 * tonumber(ARGV[at + 3])
    at = after
    local count_of_parts = 0
    for window, last_step, now, sum, list in string.gmatch(text, PART) do
      local limit = limits
      while limit < after and ARGV[limit + 1] ~= window do
        limit = limit + 4
      end
      if limit == after then
        -- It is of another replica, whose settings differ for the moment.
        count_of_parts = count_of_parts + 1
        parts[count_of_parts] = window .. ':' .. last_step .. ':' .. now .. (list == '' and '' or ':' .. sum .. list)
      elseif last_step == ARGV[limit + 3] then
        amounts[limit], sums[limit], lists[limit] = tonumber(now), tonumber(sum), list
      else
        amounts[limit], sums[limit], lists[limit] = at_step(ARGV[limit + 3], ARGV[limit + 2], last_step, now, list)
      end
    end
    for limit = limits, after - 4, 4 do
      local now, sum, list = (amounts[limit] or 0) + amount, sums[limit] or 0, lists[limit] or ''
      if not ignores_limits and sum + now > tonumber(ARGV[limit]) then
        return nil, i - first, text
      end
      local part = ARGV[limit + 1] .. ':' .. ARGV[limit + 3] .. string.format(':%d', now)
      count_of_parts = count_of_parts + 1
      parts[count_of_parts] = list == '' and part or part .. string.format(':%d', sum) .. list
    end
    text = table.concat(parts, ' ', 1, count_of_parts)
    written[key] = text
    local last_write = #writes
    writes[last_write + 1], writes[last_write + 2], writes[last_write + 3] = key, text, ttl
  end
  return writes
end

local function write_counters(writes)
  for i = 1, #writes, 3 do
    redis.call('SET', writes[i], writes[i + 1], 'PX', writes[i + 2])
  end
end
