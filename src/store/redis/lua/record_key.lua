-- Precedes every script that checks records: the key of the record that `member` names, in the shard of `key`.
-- "phlo2fa:{0a}:" has 13 characters. keys.rs builds the same key.
local function record_key(key, member)
  return string.sub(key, 1, 13) .. 'v:' .. member
end

