-- Put events that are in the offline files already into a history; the log does not get them. Repeating changes nothing, and
-- of a user who was forgotten nothing is put back.
-- KEYS: history, items, opinions, version, cache, forgotten users
-- ARGV: history limit, the user's pseudonym, seconds that the history is kept (0 for good), then for each event: timestamp, order among events of that second, entry, item,
--       kind
-- Returns 0 if the user was forgotten, else 1.
local history, items, opinions, version_key, cache, forgotten = unpack(KEYS)
local OPTIONS, PARTS = 3, 5
if redis.call('HEXISTS', forgotten, ARGV[2]) == 1 then
  return 0
end
local has_changed = false
for at = OPTIONS + 1, #ARGV, PARTS do
  local time, order, tail, item, kind = unpack(ARGV, at, at + PARTS - 1)
  local member = string.format('%016d', tonumber(order)) .. tail
  local changed = place(history, items, opinions, member, item, kind, time, tonumber(ARGV[1]))
  has_changed = has_changed or changed
end
if has_changed then
  redis.call('DEL', cache)
  -- Above the order of any loaded event, so that what is written later comes later.
  local version = tonumber(redis.call('GET', version_key) or '0')
  redis.call('SET', version_key, math.max(version + 1, (#ARGV - OPTIONS) / PARTS))
  keep_for(ARGV[3], history, items, opinions)
end
return 1
