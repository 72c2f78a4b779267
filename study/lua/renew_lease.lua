-- renew_lease: stay a study's one coordinator, also where the lease ended and nobody took it since.
-- KEYS 1 lease  2 study
-- ARGV 1 holder  2 lease's lifetime (ms)
-- Returns a word: renewed | lost (another one took the study)
if redis.call('HGET', KEYS[2], 'driver') ~= ARGV[1] then return 'lost' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'renewed'
