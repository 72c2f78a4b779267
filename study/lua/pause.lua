-- pause: hold the whole fleet back from a model after a 429; turns booked before are void, and booked anew.
-- KEYS 1 arrival time of requests  2 of tokens  3 pause (hash: until, spells)
-- ARGV 1 ms asked for by the provider (-1: it asked for nothing)  2 the first wait (ms), doubled by each spell
--      3 the longest wait (ms)  4 for how long a spell is remembered (ms)
-- Returns the ms that the pause goes on from now. A 429 during a pause is of the same spell; the longest wish stands.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local ended, spells = unpack(redis.call('HMGET', KEYS[3], 'until', 'spells'))
ended, spells = tonumber(ended or 0), tonumber(spells or 0)
local wait = tonumber(ARGV[1])
if ended <= now then
  spells = spells + 1
  if wait < 0 then wait = ARGV[2] * 2 ^ math.min(spells - 1, 20) end
end
wait = math.min(wait, tonumber(ARGV[3]))
if now + wait > ended then
  ended = now + wait
  redis.call('DEL', KEYS[1], KEYS[2])
end
redis.call('HSET', KEYS[3], 'until', string.format('%.3f', ended), 'spells', string.format('%.0f', spells))
redis.call('PEXPIRE', KEYS[3], string.format('%.0f', math.ceil(math.max(ended - now, 0)) + ARGV[4]))
return tostring(math.ceil(math.max(ended - now, 0)))
