-- take_lease: become a study's one coordinator, or stay it.
-- KEYS 1 lease
-- ARGV 1 holder  2 lease's lifetime (ms)
-- Returns a word: taken | held (by another)
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 'held' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'taken'
