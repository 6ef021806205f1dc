-- Counts a range of an index, and reads the checkpoints of readers, in one snapshot. KEYS: index, checkpoints. ARGV: from, until,
-- readers.
local checkpoints = {}
for n = 3, #ARGV do checkpoints[n - 2] = redis.call('HGET', KEYS[2], ARGV[n]) end
return {checkpoints, redis.call('ZLEXCOUNT', KEYS[1], ARGV[1], ARGV[2])}
