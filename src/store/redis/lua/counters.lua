-- Precedes the scripts that count: counters and their limits.
--
-- A counter is a text of entries `window:step:amount` with a space between them: windows in seconds, steps of a window
-- numbered from 1970.

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
  local earlier, now_holds, entries = {}, {}, {}
  for i = first, last do
    local key = KEYS[i]
    local text = written[key] or held[i - first + 1] or ''
    local amount, ignores_limits, ttl = tonumber(ARGV[at]), ARGV[at + 1] == '1', ARGV[at + 2]
    local limits, after = at + 4, at + 4 + 4 * tonumber(ARGV[at + 3])
    at = after
    local count_of_entries = 0
    for window, step, count in string.gmatch(text, '(%d+):(%d+):(-?%d+)') do
      local limit = limits
      while limit < after and ARGV[limit + 1] ~= window do
        limit = limit + 4
      end
      if limit < after and step == ARGV[limit + 3] then
        now_holds[limit] = tonumber(count)
      -- One without a limit is of another replica, whose settings differ for the moment.
      elseif limit == after or tonumber(step) >= tonumber(ARGV[limit + 2]) then
        earlier[limit] = (earlier[limit] or 0) + tonumber(count)
        count_of_entries = count_of_entries + 1
        entries[count_of_entries] = window .. ':' .. step .. ':' .. count
      end
    end
    for limit = limits, after - 4, 4 do
      local now = (now_holds[limit] or 0) + amount
      if not ignores_limits and (earlier[limit] or 0) + now > tonumber(ARGV[limit]) then
        return nil, i - first, text
      end
      count_of_entries = count_of_entries + 1
      entries[count_of_entries] = ARGV[limit + 1] .. ':' .. ARGV[limit + 3] .. ':' .. string.format('%.0f', now)
    end
    text = table.concat(entries, ' ', 1, count_of_entries)
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
