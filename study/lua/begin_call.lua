-- begin_call: decide, for all workers at once, who makes a call, and under which attempt number.
-- KEYS 1 claim  2 attempts  3 paid calls of the arm and example
-- ARGV 1 call id  2 the call's span of draws  3 holder  4 claim's lifetime (ms)
-- Returns {word, value}: {paid, the stored answer} | {busy, milliseconds left} | {begun, attempt number}
-- A repeat by the same holder (its first answer was lost) answers the same number.
local paid = redis.call('HGET', KEYS[3], ARGV[2])
if paid then return {'paid', paid} end
if redis.call('SET', KEYS[1], ARGV[3], 'NX', 'PX', ARGV[4]) then
  return {'begun', tostring(redis.call('HINCRBY', KEYS[2], ARGV[1], 1))}
end
if redis.call('GET', KEYS[1]) == ARGV[3] then
  return {'begun', redis.call('HGET', KEYS[2], ARGV[1])}
end
return {'busy', tostring(redis.call('PTTL', KEYS[1]))}
