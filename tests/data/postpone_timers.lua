-- Postpones timers for two hours, so that no verification is woken in the middle of a measurement.
--
-- ARGV  timers due within this many milliseconds stay
local now = redis.call('TIME')[1] * 1000
for _, due_times in ipairs(redis.call('KEYS', 'phlo2fa*:due')) do
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', due_times, now + ARGV[1], now + 3600000)) do
    redis.call('ZADD', due_times, 'XX', now + 7200000, member)
  end
end
