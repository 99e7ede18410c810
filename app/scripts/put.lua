-- Store items and log that they changed: all of them or none.
-- KEYS: state, media, log, seq
-- ARGV: length of the log, most items; then for each item:
--       item_id, the seq that it must have now ('' any, '0' unknown), added_at, deleted (true or false),
--       the rest of its document, and image and audio: '=' as it was, '-' none, '+' and the bytes
-- Returns {0, {the seq of each}}; {1, item_id} where another seq stands; {2, number of items} if that is too many.
local added, stood = 0, {}
for at = 3, #ARGV, 7 do
  local seq, added_at, deleted = head(redis.call('HGET', KEYS[1], ARGV[at]))
  if ARGV[at + 1] ~= '' and ARGV[at + 1] ~= (seq or '0') then
    return {1, ARGV[at]}
  end
  added = added + (seq and 0 or 1)
  -- An item that was deleted and comes again is a new one.
  stood[at] = deleted == 'false' and added_at or ARGV[at + 2]
end
local count = redis.call('HLEN', KEYS[1])
if added > 0 and count + added > tonumber(ARGV[2]) then
  return {2, count}
end
if redis.call('EXISTS', KEYS[4]) == 0 then
  -- In milliseconds: a store that was emptied never gives a number again, so nobody takes one change for another.
  local now = redis.call('TIME')
  redis.call('SET', KEYS[4], now[1] .. string.format('%03d', math.floor(now[2] / 1000)))
end
local seqs = {}
for at = 3, #ARGV, 7 do
  local seq = string.format('%.0f', redis.call('INCR', KEYS[4]))
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[1], seq .. '-0', 'item_id', ARGV[at])
  local begin = '{"seq":' .. seq .. ',"added_at":' .. stood[at] .. ',"deleted":' .. ARGV[at + 3]
  redis.call('HSET', KEYS[1], ARGV[at], begin .. ARGV[at + 4])
  for offset, kind in ipairs({'image:', 'audio:'}) do
    local given = ARGV[at + 4 + offset]
    if given == '-' then
      redis.call('HDEL', KEYS[2], kind .. ARGV[at])
    elseif given ~= '=' then
      redis.call('HSET', KEYS[2], kind .. ARGV[at], string.sub(given, 2))
    end
  end
  seqs[#seqs + 1] = tonumber(seq)
end
return {0, seqs}
