-- take_lease: become a study's one coordinator.
-- KEYS 1 lease  2 study
-- ARGV 1 holder  2 lease's lifetime (ms)  3 a holder that is dead: its lease is no hindrance; or ''
-- Returns a word: taken | held (by another)
-- The study remembers who took it last: whoever slept past the end of its lease can't renew it then.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and holder ~= ARGV[3] then return 'held' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('HSET', KEYS[2], 'driver', ARGV[1])
return 'taken'
