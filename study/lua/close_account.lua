-- close_account: end the books of a study that is forgotten: no call is paid from it any more. Its parent, and its
-- parent's journal, where each of these movements stands too, are not touched.
-- KEYS 1 account  2 its reservations  3 its journal
-- ARGV 1 account's name
-- Returns a word: closed | still_reserved (nothing was changed) | not_found
if redis.call('EXISTS', KEYS[1]) == 0 then return 'not_found' end
local spent, reserved = unpack(redis.call('HMGET', KEYS[1], 'spent', 'reserved'))
if reserved ~= '0' then return 'still_reserved' end
redis.call('HSET', KEYS[1], 'limit', spent)
redis.call('UNLINK', KEYS[2], KEYS[3])
redis.call('XADD', KEYS[3], '*', 'verb', 'close', 'id', ARGV[1], 'reserved', '0', 'spent', spent)
return 'closed'
