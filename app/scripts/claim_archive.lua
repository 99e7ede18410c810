#!lua flags=allow-oom
-- It is the archiver that makes room in a store which is full.
-- Say which archive a store's log goes to, unless it goes to another one.
-- KEYS: archive    ARGV: archive id, its folder, whether to take over from another (1 or 0)
-- Returns {'', ''} if the store is this archive's now, else the other one's id and folder.
local id, folder = unpack(redis.call('HMGET', KEYS[1], 'id', 'folder'))
if id and id ~= ARGV[1] and ARGV[3] ~= '1' then
  return {id, folder}
end
-- Written every time, so that whoever waits for the disk on this connection waits for all that it has read, too.
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'folder', ARGV[2])
return {'', ''}
