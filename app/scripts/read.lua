-- One round trip: the version with the cached answer, or with the history where nothing is cached.
-- KEYS: cache, history, version    ARGV: cache field
local version = tonumber(redis.call('GET', KEYS[3]) or '0')
local cached = redis.call('HGET', KEYS[1], ARGV[1])
if cached then
  return {version, cached}
end
return {version, false, redis.call('ZRANGE', KEYS[2], 0, -1)}
