-- Precedes the scripts that count: counters and their limits.
--
-- A counter is a text of entries `window:step:amount` with a space between them: windows in seconds, steps of a window
-- numbered from 1970.

-- Works out the counters KEYS[first] to KEYS[last] with their amounts added. ARGV has, from `at` on, for each counter:
-- amount, 1 to ignore the limits or 0, TTL in milliseconds, number of limits; and for each limit: maximum, window, the
-- first step that counts, the current step.
-- Returns what to write, or nil, the index (from 0) and the text of the counter that would exceed a limit.
local function counters_after(first, last, at)
  local held = last >= first and redis.call('MGET', unpack(KEYS, first, last)) or {}
  -- Two attempts of one commit name the same counters.
  local writes, written = {}, {}
  for i = first, last do
    local text = written[KEYS[i]] or held[i - first + 1] or ''
    local amount, ignores_limits, ttl, limits =
      tonumber(ARGV[at]), ARGV[at + 1] == '1', ARGV[at + 2], tonumber(ARGV[at + 3])
    at = at + 4
    local sums, oldest, current = {}, {}, {}
    local maximum = {}
    for _ = 1, limits do
      local window = ARGV[at + 1]
      maximum[window], oldest[window], current[window] = tonumber(ARGV[at]), tonumber(ARGV[at + 2]), ARGV[at + 3]
      sums[window] = amount
      at = at + 4
    end
    local entries, now_holds = {}, {}
    for window, step, count in string.gmatch(text, '(%d+):(%d+):(-?%d+)') do
      if not sums[window] then
        -- Of another replica, whose settings differ for the moment.
        entries[#entries + 1] = window .. ':' .. step .. ':' .. count
      elseif tonumber(step) >= oldest[window] then
        sums[window] = sums[window] + tonumber(count)
        if step == current[window] then
          now_holds[window] = tonumber(count)
        else
          entries[#entries + 1] = window .. ':' .. step .. ':' .. count
        end
      end
    end
    for window, sum in pairs(sums) do
      if not ignores_limits and sum > maximum[window] then
        return nil, i - first, text
      end
      local count = string.format('%.0f', (now_holds[window] or 0) + amount)
      entries[#entries + 1] = window .. ':' .. current[window] .. ':' .. count
    end
    written[KEYS[i]] = table.concat(entries, ' ')
    writes[#writes + 1] = { KEYS[i], written[KEYS[i]], ttl }
  end
  return writes
end

local function write_counters(writes)
  for _, write in ipairs(writes) do
    redis.call('SET', write[1], write[2], 'PX', write[3])
  end
end

