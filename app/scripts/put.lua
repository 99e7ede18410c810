-- Store items and log that they changed: all of them or none.
-- KEYS: state, media, log, seq, deleted (by when that was last of use, unix seconds), number of bytes in media
-- ARGV: length of the log, most items, most bytes of media; then for each item:
--       item_id, the seq that it must have now ('' any, '0' unknown), added_at, deleted (true or false),
--       whether only is_hidden is not the bundle's (true or false), the rest of its document, and image and audio: '=' as
--       it was, '-' none, '+' and the bytes
-- Returns {0, {the seq of each}}; {1, item_id} where another seq stands; what there would be too many of: {2, number of
-- items}, {3, number of deleted ones}, {4, bytes of media}.
local FIRST, PARTS = 4, 8
local KINDS = {'image:', 'audio:'}
local function growth(at, offset)
  local given = ARGV[at + 5 + offset]
  if given == '=' then
    return 0
  end
  return #given - 1 - redis.call('HSTRLEN', KEYS[2], KINDS[offset] .. ARGV[at])
end
local unknown, shown, bytes, stood = 0, 0, 0, {}
for at = FIRST, #ARGV, PARTS do
  local seq, added_at, deleted = head(redis.call('HGET', KEYS[1], ARGV[at]))
  if ARGV[at + 1] ~= '' and ARGV[at + 1] ~= (seq or '0') then
    return {1, ARGV[at]}
  end
  unknown = unknown + (seq and 0 or 1)
  local was_here, is_here = deleted == 'false', ARGV[at + 3] == 'false'
  -- Who hides an item of the bundle adds none: there are no more of these than the bundle has.
  if was_here ~= is_here and ARGV[at + 4] == 'false' then
    shown = shown + (is_here and 1 or -1)
  end
  bytes = bytes + growth(at, 1) + growth(at, 2)
  -- An item that was deleted and comes again is a new one.
  stood[at] = was_here and added_at or ARGV[at + 2]
end
local most, all, gone = tonumber(ARGV[2]), redis.call('HLEN', KEYS[1]), redis.call('ZCARD', KEYS[5])
if shown > 0 and all - gone + shown > most then
  return {2, all - gone}
end
-- What is deleted must be remembered for a while, but who adds and deletes without end must not fill the store with it.
if shown > 0 and all + unknown > 2 * most then
  return {3, gone}
end
local held = tonumber(redis.call('GET', KEYS[6]) or '0')
if bytes > 0 and held + bytes > tonumber(ARGV[3]) then
  return {4, held}
end
local now = redis.call('TIME')
if redis.call('EXISTS', KEYS[4]) == 0 then
  -- In milliseconds: a store that was emptied never gives a number again, so nobody takes one change for another.
  redis.call('SET', KEYS[4], now[1] .. string.format('%03d', math.floor(now[2] / 1000)))
end
local seqs = {}
for at = FIRST, #ARGV, PARTS do
  local seq = string.format('%.0f', redis.call('INCR', KEYS[4]))
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[1], seq .. '-0', 'item_id', ARGV[at])
  local begin = '{"seq":' .. seq .. ',"added_at":' .. stood[at] .. ',"deleted":' .. ARGV[at + 3]
  redis.call('HSET', KEYS[1], ARGV[at], begin .. ARGV[at + 5])
  if ARGV[at + 3] == 'true' then
    redis.call('ZADD', KEYS[5], now[1], ARGV[at])
  else
    redis.call('ZREM', KEYS[5], ARGV[at])
  end
  for offset, kind in ipairs(KINDS) do
    local given = ARGV[at + 5 + offset]
    -- Counted again here, for the same item may come twice.
    redis.call('INCRBY', KEYS[6], string.format('%.0f', growth(at, offset)))
    if given == '-' then
      redis.call('HDEL', KEYS[2], kind .. ARGV[at])
    elseif given ~= '=' then
      redis.call('HSET', KEYS[2], kind .. ARGV[at], string.sub(given, 2))
    end
  end
  seqs[#seqs + 1] = tonumber(seq)
end
return {0, seqs}
