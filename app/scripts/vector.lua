-- Replace the document of an item by the same with another vector, unless the item has changed. Nobody is told: other
-- workers compute the same.
-- KEYS: state    ARGV: item_id, seq, the document after its head
local document = redis.call('HGET', KEYS[1], ARGV[1])
local seq, added_at, deleted = head(document)
if seq ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], '{"seq":' .. seq .. ',"added_at":' .. added_at .. ',"deleted":' .. deleted .. ARGV[3])
return 1
