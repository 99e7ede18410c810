-- Cache an answer only if the history is still the one it was computed from.
-- KEYS: cache, version, history    ARGV: version, field, answer, seconds, fields at most
if (redis.call('GET', KEYS[2]) or '0') ~= ARGV[1] then
  return 0
end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
-- Only once: further answers must not lengthen the life of the first. None outlives the history.
if redis.call('TTL', KEYS[1]) < 0 then
  local left = redis.call('TTL', KEYS[3])
  redis.call('EXPIRE', KEYS[1], left > 0 and math.min(left, tonumber(ARGV[4])) or ARGV[4])
end
return 1
