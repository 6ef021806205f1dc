-- Reads a range of an index with its values and the checkpoints of readers, in one snapshot. KEYS: index, values, checkpoints.
-- ARGV: from, until, 1 if reversed, limit, readers.
local from, until_, reversed, limit = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4]
local checkpoints = {}
for n = 5, #ARGV do checkpoints[n - 4] = redis.call('HGET', KEYS[3], ARGV[n]) end
local members
if reversed then
  members = redis.call('ZREVRANGEBYLEX', KEYS[1], until_, from, 'LIMIT', 0, limit)
else
  members = redis.call('ZRANGEBYLEX', KEYS[1], from, until_, 'LIMIT', 0, limit)
end
local values = {}
for n, member in ipairs(members) do
  -- The key follows the first NUL byte that is not escaped.
  local at = 1
  while true do
    at = string.find(member, '\0', at, true)
    if string.byte(member, at + 1) == 0 then break end
    at = at + 2
  end
  values[n] = redis.call('HGET', KEYS[2], string.sub(member, at + 2))
end
return {checkpoints, members, values}
