-- Precedes the scripts that add to a sorted set of many records. Arguments of commands are texts: Redis writes a number of
-- Lua with 17 digits, which takes as long as some commands.

-- Due times are kept for an hour after the last new member. A verification lives ten minutes at most. It is a constant,
-- because one key holds the due times of all: a record that is kept more briefly must not shorten its life.
local DUE_TTL = '3600000'

local function add_due(due_times, due, member)
  if redis.call('ZADD', due_times, due, member) == 1 then
    redis.call('PEXPIRE', due_times, DUE_TTL)
  end
end

-- The score of an entry of a list is its creation time in milliseconds, times this, plus the number of its status. keys.rs
-- builds the same score.
local STATUSES = 8

-- The score of the oldest entries whose record may be there, seen from a new one.
local function oldest_kept(score, longest_ttl)
  return string.format('%d', score - longest_ttl * STATUSES)
end

-- A list lives as long as its longest-lived record: the life of an earlier, longer RETENTION is not shortened.
local function add_to_list(list, score, member, longest_ttl)
  redis.call('ZADD', list, score, member)
  if redis.call('PTTL', list) < tonumber(longest_ttl) then
    redis.call('PEXPIRE', list, longest_ttl)
  end
end

-- How many entries one script removes from a list at most, and by what share of the creations.
local TRIM_MAX, TRIM_EVERY = 64, 16

-- Removes the oldest entries whose record is gone. An entry stays as long as its record, whatever RETENTION was when that
-- was written: an erasure finds the records of a number through the list.
local function trim_list(list, oldest_kept, member)
  if string.byte(member, -1) % TRIM_EVERY ~= 0 then
    return
  end
  local old = redis.call('ZRANGEBYSCORE', list, '-inf', oldest_kept, 'LIMIT', 0, TRIM_MAX)
  if #old == 0 then
    return
  end
  local keys, gone = {}, {}
  for i, entry in ipairs(old) do
    keys[i] = record_key(entry)
  end
  for i, record in ipairs(redis.call('MGET', unpack(keys))) do
    if not record then
      gone[#gone + 1] = old[i]
    end
  end
  if #gone > 0 then
    redis.call('ZREM', list, unpack(gone))
  end
end

