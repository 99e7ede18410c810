-- Shared by write.lua, write_many.lua, load.lua and replay.lua: put an event where it belongs in a history, and keep the history to its limit.
--   history   sorted set by time of the events that count. A member begins with 16 digits, which order equal times.
--   items     hash of the items that count as seen: '1' if something other than an opinion happened to one, else '0'. They
--             stay when their events are trimmed; the field '' says that some were.
--   opinions  hash: of each item the time of its newest opinion or undo, a blank, and that opinion's member of the history,
--             of an undo the 16 digits alone. So what is older and arrives later changes nothing.
local DIGITS = 16
local OPINIONS = {rating = true, like = true, dislike = true}

-- A history to which nothing is added for so many seconds goes; 0 keeps it for good. The version stays: it only grows.
local function keep_for(seconds, ...)
  for _, key in ipairs({...}) do
    if tonumber(seconds) > 0 then
      redis.call('EXPIRE', key, seconds)
    else
      redis.call('PERSIST', key)
    end
  end
end

-- Returns time and member of the newest opinion or undo of an item; nil if there is none.
local function opinion_of(opinions, item)
  local kept = redis.call('HGET', opinions, item)
  if kept then
    local blank = string.find(kept, ' ', 1, true)
    return string.sub(kept, 1, blank - 1), string.sub(kept, blank + 1)
  end
end

local function is_no_newer(time, member, than_time, than_member)
  local difference = tonumber(time) - tonumber(than_time)
  if difference == 0 then
    return string.sub(member, 1, DIGITS) <= string.sub(than_member, 1, DIGITS)
  end
  return difference < 0
end

-- What is timed by a server's clock never counts as older than what is there: clocks of two hosts differ.
local function no_older(history, opinions, item, timestamp)
  local newest = {redis.call('ZRANGE', history, -1, -1, 'WITHSCORES')[2], (opinion_of(opinions, item))}
  for _, time in pairs(newest) do
    if tonumber(time) > tonumber(timestamp) then
      timestamp = time
    end
  end
  return timestamp
end

-- Without a limit nothing is trimmed.
-- Returns whether anything changed, and how many opinions were taken out of the history or of what was trimmed.
local function place(history, items, opinions, member, item, kind, time, limit)
  local removed, fresh = 0, 0
  if kind == 'undo' or OPINIONS[kind] then
    local kept = kind == 'undo' and string.sub(member, 1, DIGITS) or member
    -- Mostly it is the first on the item: then this is all.
    if redis.call('HSETNX', opinions, item, time .. ' ' .. kept) == 0 then
      local before, opinion = opinion_of(opinions, item)
      if is_no_newer(time, member, before, opinion) then
        return false, 0
      end
      redis.call('HSET', opinions, item, time .. ' ' .. kept)
      if #opinion > DIGITS then
        removed = 1
        redis.call('ZREM', history, opinion)
      end
    end
    if kind == 'undo' then
      if redis.call('HGET', items, item) == '0' then
        redis.call('HDEL', items, item)
      end
      return removed == 1, removed
    end
    fresh = redis.call('HSETNX', items, item, '0')
  else
    fresh = redis.call('HSET', items, item, '1')
  end
  local added = redis.call('ZADD', history, time, member)
  if limit and redis.call('ZREMRANGEBYRANK', history, 0, -limit - 1) > 0 then
    redis.call('HSET', items, '', '1')
    added = redis.call('ZSCORE', history, member) and added or 0
  end
  return fresh + added > 0, removed
end
