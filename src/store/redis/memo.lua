-- Writes a memo if it is still what its writer had read. Safe to run twice: what is there already is written.
--
-- KEYS  memo
-- ARGV  what was read or '', what is to stand there, milliseconds to keep it
-- Gives false when written, and else what stands there, '' for nothing.

local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] and current ~= ARGV[2] then
  return current
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false
