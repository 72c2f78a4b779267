-- learn: keep what a provider announced for a model, for the whole fleet.
-- KEYS 1 learned limits (hash: requests, tokens)  2 arrival time of requests  3 of tokens
-- ARGV 1 requests per minute  2 tokens per minute (0: it names none)  3 lifetime (ms)
--      4 '1' where turns were booked in ignorance, since the study file has no limits either
-- Returns a word: first (turns booked in ignorance are void, and booked anew) | known (only the values may be new)
local first = redis.call('EXISTS', KEYS[1]) == 0
redis.call('HSET', KEYS[1], 'requests', ARGV[1], 'tokens', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if not first or ARGV[4] == '0' then return 'known' end
redis.call('DEL', KEYS[2], KEYS[3])
return 'first'
