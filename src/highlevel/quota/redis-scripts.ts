/**
 * Grants permits of one location, after applying updates of earlier ones. The first key is a sorted set of the permits
 * in use, each scored with the latest time at which HighLevel may have counted its call, on the clock of Redis. A
 * permit whose call has not ended is scored with a future time, so that it outlives a process that dies. The second key
 * counts the permits of the day.
 *
 * Arguments: window, limit, how many are wanted, for how long a permit is held at most, the prefix and first number of
 * the new ids. Then updates, as id and age in milliseconds: -1 for a call that HighLevel did not count, -2 for a permit
 * that was taken without Redis and whose call has not ended. Permits taken without Redis are added here. Returns how
 * many were granted, how many are in use, how many were granted today, and the milliseconds until another one is free,
 * or 0.
 */
export const ACQUIRE = `
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
-- Left from before the clock was set back.
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
