-- Delete the marker of an event, unless one that came later has it.
-- KEYS: event marker    ARGV: version. Returns how many there were.
local marker = redis.call('GET', KEYS[1])
if marker and tonumber(string.match(marker, '^%d+')) <= tonumber(ARGV[1]) then
  return redis.call('DEL', KEYS[1])
end
return 0
