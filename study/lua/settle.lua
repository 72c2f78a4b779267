-- settle: turn a reservation into what the call cost; the whole reservation where the cost is in doubt.
-- KEYS 1 account  2 its reservations  3 its journal  4 parent account  5 parent journal (4, 5: may be absent)
-- ARGV 1 reservation id  2 cost (nanodollars), or 'in_doubt': all that was reserved
-- Returns a word: settled | overrun (settled, for more than was reserved) | already_settled
--                 | already_released | not_found
local known = redis.call('HGET', KEYS[2], ARGV[1])
if not known then return 'not_found' end
local state, held = string.match(known, '^(%a+):(%d+)$')
if state == 'settled' then return 'already_settled' end
if state == 'released' then return 'already_released' end
local given_back = held == '0' and '0' or '-' .. held -- '-0' is no integer to Redis
local in_doubt = ARGV[2] == 'in_doubt'
local cost = in_doubt and held or ARGV[2]
local over = tonumber(cost) > tonumber(held)
redis.call('HSET', KEYS[2], ARGV[1], 'settled:' .. cost)
for i = 1, #KEYS > 3 and 2 or 1 do
  local account = i == 1 and KEYS[1] or KEYS[4]
  redis.call('HINCRBY', account, 'reserved', given_back)
  redis.call('HINCRBY', account, 'spent', cost)
  if in_doubt then redis.call('HINCRBY', account, 'in_doubt', cost) end
  if over then
    redis.call('HINCRBY', account, 'overrun', string.format('%.0f', tonumber(cost) - tonumber(held)))
  end
  redis.call('XADD', i == 1 and KEYS[3] or KEYS[5], '*', 'verb', in_doubt and 'settle_in_doubt' or 'settle',
    'id', ARGV[1], 'reserved', given_back, 'spent', cost)
end
return over and 'overrun' or 'settled'
