-- Precedes every script that reads records by their members: the key of the record that `member` names. keys.rs builds
-- the same key.
local function record_key(member)
  return 'phlo2fa:{' .. string.sub(member, 1, 2) .. '}:v:' .. string.sub(member, 3)
end

