-- Precedes the scripts that link.

-- Links a provider id to an attempt, unless it is linked to another verification. Returns whether it is linked now.
local function link(key, attempt, ttl)
  if redis.call('SET', key, attempt, 'NX', 'PX', ttl) then
    return true
  end
  local function verification(of)
    return string.match(of, '^(.*):')
  end
  if verification(redis.call('GET', key) or attempt) ~= verification(attempt) then
    return false
  end
  redis.call('SET', key, attempt, 'PX', ttl)
  return true
end

