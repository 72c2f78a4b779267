-- reserve: set money aside before a call, if the account and its parent can bear it.
-- KEYS 1 account  2 its reservations  3 its journal  4 parent account  5 parent journal (4, 5: may be absent)
-- ARGV 1 reservation id  2 amount (nanodollars)
-- Returns a word: created | exists | amount_differs | already_settled | already_released | not_found
--                 | exceeds_budget | exceeds_parent_budget
if redis.call('EXISTS', KEYS[1]) == 0 then return 'not_found' end
local amount = tonumber(ARGV[2])
local known = redis.call('HGET', KEYS[2], ARGV[1])
if known then
  local state, held = string.match(known, '^(%a+):(%d+)$')
  if state == 'settled' then return 'already_settled' end
  if state == 'released' then return 'already_released' end
  return tonumber(held) == amount and 'exists' or 'amount_differs'
end
local function fits(account)
  local limit, spent, reserved = unpack(redis.call('HMGET', account, 'limit', 'spent', 'reserved'))
  if not limit then return true end
  return tonumber(spent or 0) + tonumber(reserved or 0) + amount <= tonumber(limit)
end
if not fits(KEYS[1]) then return 'exceeds_budget' end
if KEYS[4] and not fits(KEYS[4]) then return 'exceeds_parent_budget' end
redis.call('HSET', KEYS[2], ARGV[1], 'reserved:' .. ARGV[2])
for i = 1, #KEYS > 3 and 2 or 1 do
  redis.call('HINCRBY', i == 1 and KEYS[1] or KEYS[4], 'reserved', ARGV[2])
  redis.call('XADD', i == 1 and KEYS[3] or KEYS[5], '*',
    'verb', 'reserve', 'id', ARGV[1], 'reserved', ARGV[2], 'spent', '0')
end
return 'created'
