-- Put a logged event back, after place.lua: into the log under its own id, into the history unless that has it already, and
-- under its event_id. Repeating changes nothing.
-- KEYS: log, history, items, opinions, version, event marker, forgotten users
-- ARGV: id in the log ('' if it is not to be logged), log entry, version, timestamp, history entry, item, kind, owner,
--       history limit, marker seconds (0 for none), seconds that the history is kept (0 for good), the
--       user's pseudonym
-- Returns 0 if the history had it, 1 if it follows the history, 2 if versions between are missing.
local log, history, items, opinions, version_key, marker, forgotten = unpack(KEYS)
local log_id, entry, version, timestamp, tail, item, kind, owner, limit, seconds, life, pseudonym = unpack(ARGV)
if log_id ~= '' then
  local added = redis.pcall('XADD', log, log_id, 'event', entry, 'version', version, 'timestamp', timestamp)
  if type(added) == 'table' and added.err and not string.find(added.err, 'equal or smaller', 1, true) then
    return added
  end
end
local known = tonumber(redis.call('GET', version_key) or redis.call('HGET', forgotten, pseudonym) or '0')
local removed = 0
local is_new = tonumber(version) > known
if is_new then
  local member = string.format('%016d', tonumber(version)) .. tail
  local _, taken = place(history, items, opinions, member, item, kind, timestamp, tonumber(limit))
  removed = kind == 'undo' and taken or 0
  redis.call('SET', version_key, version)
  keep_for(life, history, items, opinions)
end
if tonumber(seconds) > 0 then
  redis.call('SET', marker, version .. ' ' .. removed .. ' ' .. owner, 'NX', 'EX', seconds)
end
if not is_new then
  return 0
end
return tonumber(version) == known + 1 and 1 or 2
