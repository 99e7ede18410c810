-- Delete entries of a stream, and the markers of a user's events up to a version.
-- KEYS: stream, event markers    ARGV: version, ids of the entries. Returns how many of each were there.
local markers = 0
for at = 2, #KEYS do
  local marker = redis.call('GET', KEYS[at])
  -- An event that came later under the same id must still count once.
  if marker and tonumber(string.match(marker, '^%d+')) <= tonumber(ARGV[1]) then
    markers = markers + redis.call('DEL', KEYS[at])
  end
end
return {redis.call('XDEL', KEYS[1], unpack(ARGV, 2)), markers}
