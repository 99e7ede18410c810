-- KEYS: log    ARGV: ids of entries. Returns how many were there.
return redis.call('XDEL', KEYS[1], unpack(ARGV))
