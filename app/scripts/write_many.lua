-- After place.lua: for many events of one partition what write.lua does for one, all of it or nothing.
-- KEYS: log, forgotten users; of each user history, items, opinions, version, cache; of each event its marker
-- ARGV: history limit, marker seconds, seconds that the history is kept (0 for good), number of users; of each user the
--       pseudonym; of each event: the number of its user (from 1), log entry, timestamp, whether that is the server's
--       clock (1 or 0), history entry, item, kind (no undo), owner
-- Returns the outcomes, a digit for each event: 0 written, 1 known already, 2 the event_id belongs to another event
local OPTIONS, PARTS, USER_KEYS = 4, 8, 5
local log, forgotten = KEYS[1], KEYS[2]
local limit, seconds, life, number_of_users = unpack(ARGV, 1, OPTIONS)
limit = tonumber(limit)
local first_marker = 2 + number_of_users * USER_KEYS
local owners, outcomes, users, version_keys, unknown = {}, {}, {}, {}, {}

for at, marker in ipairs(redis.call('MGET', unpack(KEYS, first_marker + 1))) do
  owners[KEYS[first_marker + at]] = marker and string.match(marker, '^%d+ %d (.*)$') or nil
end
for number = 1, number_of_users do
  local at = 2 + (number - 1) * USER_KEYS
  local history, items, opinions, version_key, cache = unpack(KEYS, at + 1, at + USER_KEYS)
  users[number] = {
    history = history, items = items, opinions = opinions, version_key = version_key, cache = cache,
    was = 0, version = 0, most = 0, keeps = false,
  }
  version_keys[number] = version_key
end
for number, version in ipairs(redis.call('MGET', unpack(version_keys))) do
  users[number].was = tonumber(version or '0')
  if not version then
    unknown[#unknown + 1] = number
  end
end
for number, user in ipairs(users) do
  -- Calls of the server are what takes the time here: of who has no version there is nothing else.
  user.most = user.was > 0 and redis.call('ZCARD', user.history) or 0
  -- A history has an expiry where its items and opinions have one. Without one, there is none to take away.
  user.keeps = tonumber(life) > 0 or user.was > 0 and redis.call('PTTL', user.history) ~= -1
end
if #unknown > 0 then
  local names = {}
  for place, number in ipairs(unknown) do
    names[place] = ARGV[OPTIONS + number]
  end
  for place, version in ipairs(redis.call('HMGET', forgotten, unpack(names))) do
    users[unknown[place]].was = tonumber(version or '0')
  end
end
for _, user in ipairs(users) do
  user.version = user.was
end

local function write(user, marker, entry, timestamp, is_timed_here, tail, item, kind, owner)
  if is_timed_here == '1' then
    timestamp = no_older(user.history, user.opinions, item, timestamp)
  end
  user.version = user.version + 1
  redis.call('XADD', log, '*', 'event', entry, 'version', user.version, 'timestamp', timestamp)
  user.most = math.min(user.most + 1, limit + 1)
  local member = string.format('%016d', user.version) .. tail
  place(user.history, user.items, user.opinions, member, item, kind, timestamp, user.most > limit and limit)
  redis.call('SET', marker, user.version .. ' 0 ' .. owner, 'EX', seconds)
  owners[marker] = owner
end

for at = OPTIONS + number_of_users, #ARGV - 1, PARTS do
  local number = #outcomes + 1
  local marker = KEYS[first_marker + number]
  if owners[marker] then
    -- A write of its own, so that whoever waits for the disk on this connection waits for the first one too.
    redis.call('EXPIRE', marker, seconds)
    outcomes[number] = owners[marker] == ARGV[at + PARTS] and 1 or 2
  else
    write(users[tonumber(ARGV[at + 1])], marker, unpack(ARGV, at + 2, at + PARTS))
    outcomes[number] = 0
  end
end

local caches = {}
for _, user in ipairs(users) do
  if user.version > user.was then
    redis.call('SET', user.version_key, string.format('%.0f', user.version))
    if user.keeps then
      keep_for(life, user.history, user.items, user.opinions)
    end
    caches[#caches + 1] = user.cache
  end
end
if #caches > 0 then
  redis.call('DEL', unpack(caches))
end
return table.concat(outcomes)
