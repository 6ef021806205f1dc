-- Reads values and the checkpoints of readers, in one snapshot. It is no transaction, because a full Redis refuses the commands of
-- one, reads too. KEYS: checkpoints, values. ARGV: the number of readers, readers, keys.
local checkpoints, values, readers = {}, {}, tonumber(ARGV[1])
for n = 1, readers do checkpoints[n] = redis.call('HGET', KEYS[1], ARGV[n + 1]) end
for n = readers + 2, #ARGV do values[n - readers - 1] = redis.call('HGET', KEYS[2], ARGV[n]) end
return {checkpoints, values}
