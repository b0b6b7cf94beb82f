-- Precedes the scripts that add to a sorted set of many records.

-- Adds a member to a sorted set, which is kept for as long as any record can be.
local function add_to_set(set, score, member, longest_ttl)
  local is_new = redis.call('ZADD', set, score, member) == 1
  if is_new then
    redis.call('PEXPIRE', set, longest_ttl)
  end
end

-- Adds a verification to an app's list, and removes those that no record can be left of.
local function add_to_list(list, created_at, member, longest_ttl)
  add_to_set(list, created_at, member, longest_ttl)
  redis.call('ZREMRANGEBYSCORE', list, '-inf', string.format('(%.0f', created_at - longest_ttl))
end

