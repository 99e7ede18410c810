-- Count events for what is trending, in all windows at once. Decay looks forward from a landmark: an event of time t adds
-- weight * 2^((t - landmark) / half-life), so that nothing that was counted has to change as time goes by.
-- KEYS: landmarks (of each window under its key), then the sorted set of each window
-- ARGV: now, most items, most half-lives since the landmark, what counts as nothing; the half-life of each window; then
--       items, each followed by what its events count now in each window. All times in unix seconds.
local OPTIONS = 4
local now, most, furthest, nothing = unpack(ARGV, 1, OPTIONS)
now, most, furthest, nothing = tonumber(now), tonumber(most), tonumber(furthest), tonumber(nothing)
local function put_landmark(key, landmark)
  redis.call('HSET', KEYS[1], key, string.format('%.0f', landmark))
  return landmark
end
-- Returns the landmark of a window, near enough to now that numbers stay small.
local function landmark_of(key, half_life)
  local landmark = tonumber(redis.call('HGET', KEYS[1], key))
  local halves = landmark and math.floor((now - landmark) / half_life)
  -- A landmark far in the future is from a clock that was wrong: beside its counts no others would ever be seen.
  if not landmark or halves < -furthest then
    redis.call('DEL', key)
    return put_landmark(key, math.floor(now))
  end
  if halves <= furthest then
    return landmark
  end
  -- So far away, all is nothing.
  local power = 2 ^ math.min(halves, 1000)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. string.format('%.17g', nothing * power))
  -- By a power of two, which changes no digit of a number.
  redis.call('ZUNIONSTORE', key, 1, key, 'WEIGHTS', string.format('%.17g', 1 / power))
  return put_landmark(key, landmark + halves * half_life)
end
for window = 2, #KEYS do
  local key, half_life = KEYS[window], tonumber(ARGV[OPTIONS + window - 1])
  local landmark = landmark_of(key, half_life)
  local power = 2 ^ ((now - landmark) / half_life)
  for at = OPTIONS + #KEYS, #ARGV, #KEYS do
    local amount = tonumber(ARGV[at + window - 1])
    if amount > 0 then
      redis.call('ZINCRBY', key, string.format('%.17g', amount * power), ARGV[at])
    end
  end
  -- A hundredth more than asked for, so that not each call has to drop some.
  if redis.call('ZCARD', key) > most * 1.01 then
    redis.call('ZREMRANGEBYRANK', key, 0, -most - 1)
  end
end
return 1
