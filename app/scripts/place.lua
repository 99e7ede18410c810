-- Shared by write.lua and load.lua: put an event where it belongs in a history.
-- `items` maps each item to its newest entry. A newer rating of an item takes the place of the older one, so that rating
-- again pushes nothing else out; and an item stays in `items` when its event is trimmed, so that it still counts as seen.
local function place(history, items, entry, item, kind, timestamp)
  local before = redis.call('HGET', items, item)
  if before and kind == 'rating' then
    local old = cjson.decode(string.sub(before, 17))
    if old[2] == 'rating' then
      if before ~= entry and tonumber(old[4]) > tonumber(timestamp) then
        return 0
      end
      if before ~= entry then
        redis.call('ZREM', history, before)
      end
    end
  end
  redis.call('HSET', items, item, entry)
  return redis.call('ZADD', history, timestamp, entry)
end
