-- learn: keep what a provider announced for a model, and what its prompts were counted for, for the whole fleet.
-- KEYS 1 learned (hash: requests, tokens, share)  2 arrival time of requests  3 of tokens
-- ARGV 1 requests per minute  2 tokens per minute (0: it names none)  3 lifetime (ms)
--      4 '1' where turns were booked in ignorance, since the study file has no limits either
--      5 '1' where the limits are news  6 tokens of a prompt, in thousandths of the most that it could have (0: unknown)
-- Returns a word: first (turns booked before are void, and booked anew) | known (only the values may be new)
local requests, share = unpack(redis.call('HMGET', KEYS[1], 'requests', 'share'))
local first = false
if ARGV[5] == '1' then
  first = not requests and ARGV[4] == '1'
  redis.call('HSET', KEYS[1], 'requests', ARGV[1], 'tokens', ARGV[2])
end
if tonumber(ARGV[6]) > tonumber(share or 0) then
  first = first or not share
  redis.call('HSET', KEYS[1], 'share', ARGV[6])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if not first then return 'known' end
redis.call('DEL', KEYS[2], KEYS[3])
return 'first'
