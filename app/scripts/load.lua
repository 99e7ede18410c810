-- Put events that are in the offline files already into a history; the log does not get them. Repeating changes nothing.
-- KEYS: history, version, cache    ARGV: history limit, timestamp, entry, timestamp, entry, ...
for position = 2, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], ARGV[position], string.format('%016d', 0) .. ARGV[position + 1])
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[1]) - 1)
redis.call('DEL', KEYS[3])
return redis.call('INCR', KEYS[2])
