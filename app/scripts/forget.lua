-- Forget items that were deleted, and of no use to anybody since then.
-- KEYS: state, deleted    ARGV: unix seconds, items at most. Returns how many were forgotten.
local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
if #ids > 0 then
  redis.call('HDEL', KEYS[1], unpack(ids))
  redis.call('ZREM', KEYS[2], unpack(ids))
end
return #ids
