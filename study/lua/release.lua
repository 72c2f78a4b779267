-- release: give back a reservation whose call was provably not billed.
-- KEYS 1 account  2 its reservations  3 its journal  4 parent account  5 parent journal (4, 5: may be absent)
-- ARGV 1 reservation id
-- Returns a word: released | already_settled | already_released | not_found
local known = redis.call('HGET', KEYS[2], ARGV[1])
if not known then return 'not_found' end
local state, held = string.match(known, '^(%a+):(%d+)$')
if state == 'settled' then return 'already_settled' end
if state == 'released' then return 'already_released' end
local given_back = held == '0' and '0' or '-' .. held -- '-0' is no integer to Redis
redis.call('HSET', KEYS[2], ARGV[1], 'released:' .. held)
for i = 1, #KEYS > 3 and 2 or 1 do
  redis.call('HINCRBY', i == 1 and KEYS[1] or KEYS[4], 'reserved', given_back)
  redis.call('XADD', i == 1 and KEYS[3] or KEYS[5], '*',
    'verb', 'release', 'id', ARGV[1], 'reserved', given_back, 'spent', '0')
end
return 'released'
