-- Put events that are in the offline files already into a history; the log does not get them. Repeating changes nothing.
-- KEYS: history, version, cache    ARGV: history limit, first position, timestamp, entry, timestamp, entry, ...
-- Positions count from 0 along the whole history: they keep the order of events at equal times.
local position = tonumber(ARGV[2])
local added = 0
for place = 3, #ARGV, 2 do
  added = added + redis.call('ZADD', KEYS[1], ARGV[place], string.format('%016d', position) .. ARGV[place + 1])
  position = position + 1
end
if added > 0 then
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[1]) - 1)
  redis.call('DEL', KEYS[3])
  redis.call('SET', KEYS[2], math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, position))
end
return added
