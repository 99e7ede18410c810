-- Log an event, add it to the history, count the version up and drop cached answers: all of it or nothing.
-- KEYS: log, history, items, opinions, version, cache, forgotten users, event marker
-- ARGV: log entry, timestamp, whether that is the server's clock (1 or 0), history entry, item, kind, owner,
--       history limit, marker seconds, the user's pseudonym, seconds that the history is kept (0 for good)
-- Returns {outcome, version, removed}: outcome 0 written, 1 known already, 2 the event_id belongs to another event; removed
-- is 1 if an undo took back an opinion.
local log, history, items, opinions, version_key, cache, forgotten, event = unpack(KEYS)
local entry, timestamp, is_timed_here, tail, item, kind, owner, limit, seconds, pseudonym, life = unpack(ARGV)
local marker = redis.call('GET', event)
if marker then
  local version, removed, first = string.match(marker, '^(%d+) (%d) (.*)$')
  -- A write of its own, so that whoever waits for the disk on this connection waits for the first one too.
  redis.call('EXPIRE', event, seconds)
  return {first == owner and 1 or 2, tonumber(version), tonumber(removed)}
end
if is_timed_here == '1' then
  timestamp = no_older(history, opinions, item, timestamp)
end
local version = redis.call('INCR', version_key)
if version == 1 then
  -- A forgotten user goes on counting, or an answer from before could pass for one of the new history.
  version = redis.call('INCRBY', version_key, redis.call('HGET', forgotten, pseudonym) or '0')
end
redis.call('XADD', log, '*', 'event', entry, 'version', version, 'timestamp', timestamp)
local member = string.format('%016d', version) .. tail
local _, removed = place(history, items, opinions, member, item, kind, timestamp, tonumber(limit))
removed = kind == 'undo' and removed or 0
redis.call('DEL', cache)
keep_for(life, history, items, opinions)
redis.call('SET', event, version .. ' ' .. removed .. ' ' .. owner, 'EX', seconds)
return {0, version, removed}
