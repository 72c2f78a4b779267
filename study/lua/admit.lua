-- admit: the fleet's rate limit for a model (GCRA, one bucket for requests, one for tokens).
-- KEYS 1 arrival time of requests  2 arrival time of tokens  3 end of a pause (a 429's Retry-After)
-- ARGV 1 ms per request (0: no limit)  2 ms per token (0: no limit)  3 tokens  4 burst (ms)
-- Returns milliseconds to wait; 0: go ahead, and it is counted. Time is Redis's own.
-- Formula: GCRA: a request conforms if TAT - tolerance <= now; then TAT = max(TAT, now) + increment.
-- The tolerance is what the burst leaves room for beside the request itself; a request larger than the
-- burst is admitted alone, once all before it is paid off.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local pause = tonumber(redis.call('GET', KEYS[3]) or 0)
if pause > now then return tostring(math.ceil(pause - now)) end
local costs = {tonumber(ARGV[1]), tonumber(ARGV[2]) * tonumber(ARGV[3])}
local burst = tonumber(ARGV[4])
local wait = 0
local arrivals = {}
for i = 1, 2 do
  local arrival = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now)
  if costs[i] > 0 then wait = math.max(wait, arrival - math.max(burst - costs[i], 0) - now) end
  arrivals[i] = arrival + costs[i]
end
if wait > 0 then return tostring(math.ceil(wait)) end
for i = 1, 2 do
  if costs[i] > 0 then
    local ttl = math.ceil(arrivals[i] - now) + 1000
    redis.call('SET', KEYS[i], string.format('%.3f', arrivals[i]), 'PX', string.format('%.0f', ttl))
  end
end
return '0'
