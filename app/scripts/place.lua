-- Shared by write.lua and load.lua: put an event where it belongs in a history, and keep the history to its limit.
-- `items` maps each item to its newest entry. A newer rating of an item takes the place of the older one, so that rating
-- again pushes nothing else out; and an item stays in `items` when its event is trimmed, so that it still counts as seen.
-- Returns 1 if the event stands in the history now and did not before.
local function place(history, items, entry, item, kind, timestamp, limit)
  local before = redis.call('HGET', items, item)
  if before == entry then
    return 0
  end
  if before and kind == 'rating' and cjson.decode(string.sub(before, 17))[2] == 'rating' then
    local score = redis.call('ZSCORE', history, before)
    if score and tonumber(score) > tonumber(timestamp) then
      return 0
    end
    redis.call('ZREM', history, before)
  end
  local added = redis.call('ZADD', history, timestamp, entry)
  if not before or kind == 'rating' or added == 1 then
    redis.call('HSET', items, item, entry)
  end
  redis.call('ZREMRANGEBYRANK', history, 0, -limit - 1)
  if added == 1 and not redis.call('ZSCORE', history, entry) then
    return 0
  end
  return added
end
