-- Removes the values of a view, its indexes and the checkpoints of its readers. KEYS: checkpoints, values, entries. ARGV: the prefix
-- of the view's indexes, readers.
local indexes = {}
for _, packed in ipairs(redis.call('HVALS', KEYS[3])) do
  local entries = cmsgpack.unpack(packed)
  for m = 1, #entries, 2 do indexes[ARGV[1] .. entries[m]] = true end
end
for index in pairs(indexes) do redis.call('UNLINK', index) end
redis.call('UNLINK', KEYS[2], KEYS[3])
for n = 2, #ARGV do redis.call('HDEL', KEYS[1], ARGV[n]) end
return 1
