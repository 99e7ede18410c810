-- Put right what a backup of items leaves out because it follows from the rest.
-- KEYS: state, media, seq, number of bytes in media
if redis.call('EXISTS', KEYS[1]) == 1 then
  -- From the time on, as at first: no number is given twice.
  local now = redis.call('TIME')
  redis.call('SET', KEYS[3], now[1] .. string.format('%03d', math.floor(now[2] / 1000)))
  local bytes = 0
  for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
    bytes = bytes + redis.call('HSTRLEN', KEYS[2], field)
  end
  redis.call('SET', KEYS[4], string.format('%.0f', bytes))
end
return 1
