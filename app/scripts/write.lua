-- Log an event, add it to the history, count the version up and drop cached answers: all of it or nothing.
-- KEYS: log, history, items, version, cache, event marker
-- ARGV: log entry, timestamp, history entry, item, kind, owner, history limit, marker seconds
-- Returns {outcome, version}: outcome 0 written, 1 known already, 2 the event_id belongs to another rating.
local marker = redis.call('GET', KEYS[6])
if marker then
  local space = string.find(marker, ' ', 1, true)
  local same = string.sub(marker, space + 1) == ARGV[6]
  -- A write of its own, so that whoever waits for the disk on this connection waits for the first one too.
  redis.call('EXPIRE', KEYS[6], ARGV[8])
  return {same and 1 or 2, tonumber(string.sub(marker, 1, space - 1))}
end
local version = redis.call('INCR', KEYS[4])
redis.call('XADD', KEYS[1], '*', 'event', ARGV[1], 'version', version)
place(KEYS[2], KEYS[3], string.format('%016d', version) .. ARGV[3], ARGV[4], ARGV[5], ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -tonumber(ARGV[7]) - 1)
redis.call('DEL', KEYS[5])
redis.call('SET', KEYS[6], version .. ' ' .. ARGV[6], 'EX', ARGV[8])
return {0, version}
