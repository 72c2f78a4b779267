-- end_call: give up the claim on a call, if it is still ours; store its answer first, if there is one.
-- KEYS 1 claim  2 paid calls of the arm and example
-- ARGV 1 the call's span of draws  2 holder  3 the answer (JSON), or '' where nothing was bought
-- Returns a word: stored | exists (an answer was stored before; it stays) | ended
local word = 'ended'
if ARGV[3] ~= '' then
  word = redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[3]) == 1 and 'stored' or 'exists'
end
if redis.call('GET', KEYS[1]) == ARGV[2] then redis.call('DEL', KEYS[1]) end
return word
