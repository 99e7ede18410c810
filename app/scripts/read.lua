-- One round trip: the version with the cached answer, or with the history where nothing is cached.
-- KEYS: cache, history, items, version    ARGV: cache field, history limit
local version = tonumber(redis.call('GET', KEYS[4]) or '0')
local cached = redis.call('HGET', KEYS[1], ARGV[1])
if cached then
  return {version, cached}
end
local kept, known = redis.call('ZCARD', KEYS[2]), redis.call('HLEN', KEYS[3])
local seen = {}
-- Only a full history can have been trimmed; the second test is for a limit that was lower once.
if kept >= tonumber(ARGV[2]) or kept < known then
  seen = redis.call('HKEYS', KEYS[3])
end
return {version, false, redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES'), seen}
