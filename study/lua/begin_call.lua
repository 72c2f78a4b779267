-- begin_call: decide, for all workers at once, who makes a call, and under which attempt number.
-- KEYS 1 claim  2 attempts  3 paid calls of the arm and example
-- ARGV 1 call id  2 the call's span of draws  3 holder  4 claim's lifetime (ms)
--      5 a holder that is dead: its claim is no hindrance; or ''
-- Returns {word, value}: {paid, the stored answer} | {busy, the holder} | {begun, attempt number}
-- A repeat by the same holder (its first answer was lost) answers the same number.
local paid = redis.call('HGET', KEYS[3], ARGV[2])
if paid then return {'paid', paid} end
local holder = redis.call('GET', KEYS[1])
if not holder or (holder == ARGV[5] and holder ~= ARGV[3]) then
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
  return {'begun', tostring(redis.call('HINCRBY', KEYS[2], ARGV[1], 1))}
end
if holder == ARGV[3] then
  return {'begun', redis.call('HGET', KEYS[2], ARGV[1])}
end
return {'busy', holder}
