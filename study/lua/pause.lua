-- pause: hold the whole fleet back from a model after a 429; turns that lie within it are void, and booked anew.
-- KEYS 1 pause (hash: until, spells, written: where that is after now, the clock was put back,
--      and the end is brought back by as much)
-- ARGV 1 ms asked for by the provider (-1: it asked for nothing)  2 the shortest wait (ms); where nothing was
--      asked for it is doubled by each further spell  3 the longest (ms)  4 for how long a spell is remembered (ms)
-- Returns the ms that the pause goes on from now. A 429 during a pause is of the same spell; the longest wish stands.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local ended, spells, written = unpack(redis.call('HMGET', KEYS[1], 'until', 'spells', 'written'))
ended, spells = (ended or 0) - math.max((written or 0) - now, 0), tonumber(spells or 0)
local wait = tonumber(ARGV[1])
if ended <= now then
  spells = spells + 1
  wait = wait < 0 and ARGV[2] * 2 ^ math.min(spells - 1, 20) or math.max(wait, tonumber(ARGV[2]))
end
ended = math.max(ended, now + math.min(wait, tonumber(ARGV[3])))
redis.call('HSET', KEYS[1], 'until', string.format('%.3f', ended), 'spells', string.format('%.0f', spells),
  'written', string.format('%.3f', now))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(math.max(ended - now, 0)) + ARGV[4]))
return tostring(math.ceil(math.max(ended - now, 0)))
