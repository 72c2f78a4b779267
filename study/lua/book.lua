-- book: take the next turn under the fleet's rate limit for a model (GCRA, one bucket for requests, one for
-- tokens). A turn lies in the future where it must; whoever would wait too long is told when to ask again.
-- KEYS 1 arrival time of requests  2 of tokens  3 of those told to ask again (each with when it was written)
--      4 pause (hash: until, spells, written)
--      5 learned (hash: requests, tokens, share of the most that prompts can have, in thousandths)
-- ARGV 1 requests per minute  2 tokens per minute (0: as learned)  3 tokens  4 a minute (ms), slack included
--      5 burst (ms)  6 longest wait for a turn (ms)  7 longest wait to ask again (ms)
--      8 ms between calls while nothing is learned  9 the same, without a limit, after a first 429; doubled by
--      each further spell  10 at most
--      11 lifetime of what was learned (ms)
--      12 tokens of the answers, at most  13 of the prompt, at most  14 '1' where the provider counted the prompt before
--      15 for how long a spell is remembered (ms)
-- Returns {turn, ms to wait, when it is (ms), learned?, requests, tokens, share}: it is counted
--       | {later, ms to wait before asking again}. Time is Redis's own.
-- Redis's clock may be put back: what was written after `now` is brought back by as much, and written anew.
-- Formula: GCRA: a call conforms if TAT - tolerance <= t; then TAT = max(TAT, t) + increment. The tolerance is
-- what the burst leaves room for beside the call itself; a call larger than the burst goes alone, once all
-- before it is paid off.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local ended, spells, paused = unpack(redis.call('HMGET', KEYS[4], 'until', 'spells', 'written'))
if paused and tonumber(paused) > now then
  ended = ended - (paused - now)
  redis.call('HSET', KEYS[4], 'until', string.format('%.3f', ended), 'written', string.format('%.3f', now))
  redis.call('PEXPIRE', KEYS[4], string.format('%.0f', math.ceil(math.max(ended - now, 0)) + ARGV[15]))
end
local learned = redis.call('HMGET', KEYS[5], 'requests', 'tokens', 'share')
local share = tonumber(learned[3] or 0)
local tokens = tonumber(ARGV[3])
if share > 0 and ARGV[14] == '0' then
  tokens = ARGV[12] + math.ceil(ARGV[13] * share / 1000)
end
local known = learned[1] and 1 or 0
if known == 1 then redis.call('PEXPIRE', KEYS[5], ARGV[11]) end
local costs = {0, 0}
for i, units in ipairs({1, tokens}) do
  local limit = tonumber(ARGV[i])
  if limit == 0 then limit = tonumber(learned[i] or 0) end
  if limit > 0 then costs[i] = units * tonumber(ARGV[4]) / limit end
end
if known == 0 and ARGV[1] == '0' and ARGV[2] == '0' then costs[1] = tonumber(ARGV[8]) end
if tonumber(spells or 0) > 0 and costs[1] + costs[2] == 0 then
  costs[1] = math.min(tonumber(ARGV[9]) * 2 ^ math.min(spells - 1, 20), tonumber(ARGV[10]))
end
local function keep(key, arrival)
  local lasts = string.format('%.0f', math.ceil(arrival - now) + 1000)
  redis.call('SET', key, string.format('%.3f:%.3f', arrival, now), 'PX', lasts)
  return arrival
end
local function kept(key)
  local arrival, written = string.match(redis.call('GET', key) or '0', '^([%d.]+):?([%d.]*)$')
  local ahead = (tonumber(written) or 0) - now
  return ahead > 0 and keep(key, arrival - ahead) or tonumber(arrival)
end
local turn = math.max(now, tonumber(ended or 0))
local burst = tonumber(ARGV[5])
local arrivals = {}
for i = 1, 2 do
  arrivals[i] = kept(KEYS[i])
  if costs[i] > 0 then turn = math.max(turn, arrivals[i] - math.max(burst - costs[i], 0)) end
end
if turn - now > tonumber(ARGV[6]) then
  local again = math.max(kept(KEYS[3]), turn)
  local wait = again - now - ARGV[6] / 2
  if wait > tonumber(ARGV[7]) then return {'later', ARGV[7]} end
  keep(KEYS[3], again + math.max(costs[1], costs[2]))
  return {'later', tostring(math.ceil(wait))}
end
for i = 1, 2 do
  if costs[i] > 0 then keep(KEYS[i], math.max(arrivals[i], turn) + costs[i]) end
end
return {'turn', tostring(math.ceil(turn - now)), string.format('%.3f', turn), known, learned[1] or '0', learned[2] or '0', string.format('%.0f', share)}
