-- Log an event, add it to the history, count the version up and drop cached answers: all of it or nothing.
-- KEYS: log, history, items, version, cache, event marker
-- ARGV: log entry, timestamp, whether that is the server's clock (1 or 0), history entry, item, kind, owner,
--       history limit, marker seconds
-- Returns {outcome, version}: outcome 0 written, 1 known already, 2 the event_id belongs to another rating.
local marker = redis.call('GET', KEYS[6])
if marker then
  local space = string.find(marker, ' ', 1, true)
  local same = string.sub(marker, space + 1) == ARGV[7]
  -- A write of its own, so that whoever waits for the disk on this connection waits for the first one too.
  redis.call('EXPIRE', KEYS[6], ARGV[9])
  return {same and 1 or 2, tonumber(string.sub(marker, 1, space - 1))}
end
local timestamp = ARGV[2]
if ARGV[3] == '1' then
  -- Clocks of two hosts differ; what comes later must not count as older for that.
  local newest = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]
  if newest and tonumber(newest) > tonumber(timestamp) then
    timestamp = newest
  end
end
local version = redis.call('INCR', KEYS[4])
redis.call('XADD', KEYS[1], '*', 'event', ARGV[1], 'version', version, 'timestamp', timestamp)
place(KEYS[2], KEYS[3], string.format('%016d', version) .. ARGV[4], ARGV[5], ARGV[6], timestamp, tonumber(ARGV[8]))
redis.call('DEL', KEYS[5])
redis.call('SET', KEYS[6], version .. ' ' .. ARGV[7], 'EX', ARGV[9])
return {0, version}
