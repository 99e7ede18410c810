-- Put events that are in the offline files already into a history; the log does not get them. Repeating changes nothing.
-- KEYS: history, items, version, cache
-- ARGV: history limit, then for each event: timestamp, order among events of that second, entry, item, kind
local added = 0
for at = 2, #ARGV, 5 do
  local entry = string.format('%016d', tonumber(ARGV[at + 1])) .. ARGV[at + 2]
  added = added + place(KEYS[1], KEYS[2], entry, ARGV[at + 3], ARGV[at + 4], ARGV[at], tonumber(ARGV[1]))
end
if added > 0 then
  redis.call('DEL', KEYS[4])
  -- Above the order of any loaded event, so that what is written later comes later.
  redis.call('SET', KEYS[3], math.max(tonumber(redis.call('GET', KEYS[3]) or '0') + 1, (#ARGV - 1) / 5))
end
return added
