/**
 * The places of one location that are in use, by the time at which HighLevel counted each at the latest, on the clock of
 * Redis. A place that is not yet answered stands at a time to come, so that it outlives a process that died with it.
 *
 * In: window, limit, how many are wanted, for how long a place is held at most, the prefix and first number of their
 * names; then places that were settled since, as name and age in milliseconds, or -1 for one that HighLevel never counted.
 * Among them may be places that were taken while Redis did not answer: they are added here; -2 is one without an answer.
 * Out: how many were given, how many are in use, how many were given today, and for how long none is free, or 0.
 */
export const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window, limit, want, hold = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
for i = 7, #ARGV, 2 do
  local age = tonumber(ARGV[i + 1])
  if age == -2 then
    if redis.call('ZADD', KEYS[1], 'NX', now + hold, ARGV[i]) == 1 then redis.call('INCR', KEYS[2]) end
  elseif age < 0 then
    if redis.call('ZREM', KEYS[1], ARGV[i]) == 1 then redis.call('DECR', KEYS[2]) end
  elseif redis.call('ZADD', KEYS[1], now - age, ARGV[i]) == 1 then
    redis.call('INCR', KEYS[2])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
-- Left over from before the clock was set back.
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + hold + 1000, '+inf')
local used = redis.call('ZCARD', KEYS[1])
local given = math.max(0, math.min(want, limit - used))
for i = 0, given - 1 do
  redis.call('ZADD', KEYS[1], now + hold, ARGV[5] .. string.format('%d', ARGV[6] + i))
end
redis.call('PEXPIRE', KEYS[1], window + hold)
local taken
if given > 0 then
  taken = redis.call('INCRBY', KEYS[2], given)
else
  taken = tonumber(redis.call('GET', KEYS[2]) or 0)
end
redis.call('PEXPIRE', KEYS[2], 172800000)
local wait = 0
if given < want then
  local at = redis.call('ZRANGE', KEYS[1], math.max(0, used - limit), math.max(0, used - limit), 'WITHSCORES')[2]
  wait = math.max(1, math.min(tonumber(at or now), now) + window - now)
end
return { given, used + given, taken, wait }
`

/** Counts the processes that were seen in the last so many milliseconds, after noting this one. */
export const REPLICAS = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
`
