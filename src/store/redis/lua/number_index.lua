-- Precedes the scripts that use the index of a number. Its value: how many verifications it names (1 byte); for each the
-- id (17 bytes) and the purpose (8 bytes), the one that was used longest ago first; then the wrong codes of the number.
local ID, ENTRY, PURPOSES_MAX = 17, 25, 16

-- The two parts of a value: the entries and the wrong codes.
local function read_index(value)
  if not value then
    return '', ''
  end
  local last = 1 + ENTRY * string.byte(value)
  return string.sub(value, 2, last), string.sub(value, last + 1)
end

local function index_of(entries, guesses)
  return string.char(#entries / ENTRY) .. entries .. guesses
end

-- Where the entry of a purpose begins.
local function find_purpose(entries, purpose)
  for at = 1, #entries, ENTRY do
    if string.sub(entries, at + ID, at + ENTRY - 1) == purpose then
      return at
    end
  end
end

-- The entries with `id` as the newest of the purpose, whose entry begins at `at`.
local function name_newest(entries, at, id, purpose)
  local others = at and string.sub(entries, 1, at - 1) .. string.sub(entries, at + ENTRY) or entries
  return string.sub(others .. id .. purpose, -ENTRY * PURPOSES_MAX)
end

-- Another verification of the number may need the index for longer. `ttl` is '' where it is kept for long enough.
local function set_index(key, value, is_new, ttl, longest_ttl)
  if is_new then
    redis.call('SET', key, value, 'PX', ttl == '' and longest_ttl or ttl)
  elseif ttl == '' then
    redis.call('SET', key, value, 'KEEPTTL')
  else
    redis.call('SET', key, value, 'PX', string.format('%d', math.max(redis.call('PTTL', key), tonumber(ttl))))
  end
end

