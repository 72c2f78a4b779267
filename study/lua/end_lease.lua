-- end_lease: give up a study, if the lease is still ours.
-- KEYS 1 lease
-- ARGV 1 holder
-- Returns a word: ended | held (by another, or by nobody)
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'held' end
redis.call('DEL', KEYS[1])
return 'ended'
