-- One round trip: the version with the cached answer, or with the history where nothing is cached.
-- KEYS: cache, history, items, version    ARGV: cache field
-- On a read-only replica the fifth of the reply is 1, and nothing cached counts: both may be older than what the primary has
-- acknowledged.
-- There is never a field '': where it may, this writes nothing.
local refusal = redis.pcall('HDEL', KEYS[1], '')
local is_replica = type(refusal) == 'table' and string.find(refusal.err, 'READONLY', 1, true)
local version = tonumber(redis.call('GET', KEYS[4]) or '0')
local cached = redis.call('HGET', KEYS[1], ARGV[1])
if cached and not is_replica then
  return {version, cached}
end
local seen = {}
-- Of a history that was never trimmed all seen items are in it.
if redis.call('HEXISTS', KEYS[3], '') == 1 then
  seen = redis.call('HKEYS', KEYS[3])
end
return {version, false, redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES'), seen, is_replica and 1 or 0}
