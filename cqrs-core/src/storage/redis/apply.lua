-- Applies a batch, or nothing. KEYS: checkpoints, values, entries. ARGV: the prefix of the view's indexes; the number of moves
-- and for each reader, from, to; the number of writes and for each key, expected version, stored value, the number of entries
-- and for each index, member.
local checkpoints, values, stored_entries = KEYS[1], KEYS[2], KEYS[3]
local index_prefix, at = ARGV[1], 1
local function take()
  at = at + 1
  return ARGV[at]
end

-- Everything is compared before anything is written.
local moves = {}
for n = 1, tonumber(take()) do
  local reader, from, to = take(), take(), take()
  if (redis.call('HGET', checkpoints, reader) or '0') ~= from then return {'moved', reader} end
  moves[n] = {reader, to}
end
local writes = {}
for n = 1, tonumber(take()) do
  local key, expected, value, entries = take(), take(), take(), {}
  for m = 1, 2 * tonumber(take()) do entries[m] = take() end
  writes[n] = {key, value, entries}
  local stored = redis.call('HGET', values, key)
  local version = stored and string.sub(stored, 1, string.find(stored, ':', 1, true) - 1) or '0'
  if version ~= expected then return {'conflict', key} end
end

-- A Redis that is full refuses the first of these commands, and none after it.
for _, move in ipairs(moves) do redis.call('HSET', checkpoints, move[1], move[2]) end
for _, write in ipairs(writes) do
  local key, value, entries = write[1], write[2], write[3]
  redis.call('HSET', values, key, value)
  local former = redis.call('HGET', stored_entries, key)
  if former then
    local all = cmsgpack.unpack(former)
    for m = 1, #all, 2 do redis.call('ZREM', index_prefix .. all[m], all[m + 1]) end
  end
  if #entries > 0 then
    redis.call('HSET', stored_entries, key, cmsgpack.pack(entries))
    for m = 1, #entries, 2 do redis.call('ZADD', index_prefix .. entries[m], 0, entries[m + 1]) end
  elseif former then
    redis.call('HDEL', stored_entries, key)
  end
end
return {}
