-- Adds to counters, all or none: none if one of them would exceed a limit.
--
-- KEYS  the counters; each is in a slot of its own, so in a cluster there is only one
-- ARGV  see counters.lua
-- Returns nothing if all amounts were added; else the index of the counter that is full (from 0), and its text.
local writes, full, text = counters_after(1, #KEYS, 1)
if not writes then
  return { full, text }
end
write_counters(writes)
return {}
