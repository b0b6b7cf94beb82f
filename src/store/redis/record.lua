-- Stands before every script that looks at records: the key of the record that `member` names, in the shard
-- that `key` is in ("phlo2fa:{0a}:" has 13 characters). keys.rs says the same.
local function record_key(key, member)
  return string.sub(key, 1, 13) .. 'v:' .. member
end

