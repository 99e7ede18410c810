-- Log an event, add it to the history, count the version up and drop cached answers: all of it or nothing.
-- KEYS: log, history, version, cache, event marker
-- ARGV: log entry, timestamp, history entry, owner, history limit, marker seconds
-- Returns {outcome, version}: outcome 0 written, 1 known already, 2 the event_id belongs to another rating.
local marker = redis.call('GET', KEYS[5])
if marker then
  local space = string.find(marker, ' ', 1, true)
  local same = string.sub(marker, space + 1) == ARGV[4]
  return {same and 1 or 2, tonumber(string.sub(marker, 1, space - 1))}
end
local version = redis.call('INCR', KEYS[3])
redis.call('XADD', KEYS[1], '*', 'event', ARGV[1], 'version', version)
redis.call('ZADD', KEYS[2], ARGV[2], string.format('%016d', version) .. ARGV[3])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -tonumber(ARGV[5]) - 1)
redis.call('DEL', KEYS[4])
redis.call('SET', KEYS[5], version .. ' ' .. ARGV[4], 'EX', ARGV[6])
return {0, version}
