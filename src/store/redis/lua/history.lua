-- Precedes the scripts that depend on what server they run on. history.rs reads the same from INFO.
--
-- A history is the first 4 bytes of the replication id. A server begins one when it starts, when it is promoted, and when its
-- data are replaced. Followed by the kind of the server: alone, with replicas, or promoted. With appendonly, a server that
-- restarts forgets that it was promoted.
local ALONE, REPLICATED, PROMOTED = '0', '1', '2'

-- The history in the records of a server that is alone: nothing that it has acknowledged is missing after its restart.
local OF_ONE_SERVER = '\0\0\0\1'

-- The history and the kind of this server (5 bytes), and what INFO says of the replication.
local function this_server()
  local info = redis.pcall('INFO', 'replication')
  local replication_id = type(info) == 'string' and string.match(info, 'master_replid:(%x+)')
  if not replication_id then
    return OF_ONE_SERVER .. ALONE, ''
  end
  local history = string.gsub(string.sub(replication_id, 1, 8), '..', function(hex)
    return string.char(tonumber(hex, 16))
  end)
  if string.find(info, 'second_repl_offset:%d') then
    return history .. PROMOTED, info
  end
  return history .. (string.find(info, 'connected_slaves:[1-9]') and REPLICATED or ALONE), info
end

