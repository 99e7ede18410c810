#!lua flags=allow-oom
-- Forgetting makes room, so a full store must allow it.
-- Remove what is kept of a user, the logs apart; repeating removes what has come since.
-- KEYS: log, history, items, opinions, version, cache, forgotten users    ARGV: the user's pseudonym
-- Returns {version, events, items, cached answers, id of the log's newest entry or ''}. Beside the pseudonym the version
-- stays, from which the next one goes on: an answer that is being computed from the old history must never fit a new one.
local log, history, items, opinions, version_key, cache, forgotten = unpack(KEYS)
local version = tonumber(redis.call('GET', version_key) or redis.call('HGET', forgotten, ARGV[1]) or '0')
local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
local events, cached = redis.call('ZCARD', history), redis.call('HLEN', cache)
local seen = redis.call('HLEN', items) - redis.call('HEXISTS', items, '')
redis.call('HSET', forgotten, ARGV[1], version)
redis.call('DEL', history, items, opinions, version_key, cache)
return {version, events, seen, cached, newest and newest[1] or ''}
