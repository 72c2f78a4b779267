-- end_lease: give up a study, and say where it stands, if it is still ours.
-- KEYS 1 lease  2 study
-- ARGV 1 holder  2 status
-- Returns a word: ended | lost (another one took the study)
if redis.call('HGET', KEYS[2], 'driver') ~= ARGV[1] then return 'lost' end
redis.call('HSET', KEYS[2], 'status', ARGV[2])
redis.call('DEL', KEYS[1])
return 'ended'
