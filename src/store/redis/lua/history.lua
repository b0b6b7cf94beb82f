-- Precedes commit.lua. connection.rs reads the same from INFO.
--
-- Redis replicates after it has answered, so a promoted replica may lack acknowledged writes. A promotion changes the
-- replication id, and the server remembers the offset at which the old id ended (with appendonly, until it restarts).
-- A server without such an offset was never promoted; its history has this name.
local NEVER_PROMOTED = '\0\0\0\1'

-- The name of the history that this server writes. In a cluster the script asks, because redis-rs keeps the
-- connections to the nodes to itself; elsewhere the connection knows.
local function history()
  local info = redis.pcall('INFO', 'replication')
  local replication_id = type(info) == 'string' and string.match(info, 'master_replid:(%x+)')
  if not replication_id or not string.find(info, 'second_repl_offset:%d') then
    return NEVER_PROMOTED
  end
  local bytes = string.gsub(string.sub(replication_id, 1, 8), '..', function(hex)
    return string.char(tonumber(hex, 16))
  end)
  return bytes
end

