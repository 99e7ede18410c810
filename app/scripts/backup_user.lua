-- Read all that counts of a user at one moment, so that no event is half in it.
-- KEYS: version, history, items, opinions
-- Returns {version, milliseconds that the rest lives or -1, history with scores, items, opinions}; nothing if there is no
-- such user.
local version = redis.call('GET', KEYS[1])
if not version then
  return {}
end
return {
  version, redis.call('PTTL', KEYS[2]), redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES'),
  redis.call('HGETALL', KEYS[3]), redis.call('HGETALL', KEYS[4])
}
