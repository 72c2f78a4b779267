-- sum_up: replace the oldest entries of a journal by their sums, so that the journal still sums to the balance.
-- KEYS 1 journal  2 what is brought forward of it (hash: reserved, spent, in_doubt, movements)
-- ARGV 1 the last moment (ms) of which entries are summed up  2 the most entries at once
-- Returns how many there were.
local entries = redis.call('XRANGE', KEYS[1], '-', ARGV[1], 'COUNT', ARGV[2])
if #entries == 0 then return 0 end
for _, entry in ipairs(entries) do
  local said = {}
  for i = 1, #entry[2], 2 do said[entry[2][i]] = entry[2][i + 1] end
  redis.call('HINCRBY', KEYS[2], 'reserved', said.reserved) -- Redis' own integers: Lua's end at 2^53
  redis.call('HINCRBY', KEYS[2], 'spent', said.spent)
  redis.call('HINCRBY', KEYS[2], 'in_doubt', said.verb == 'settle_in_doubt' and said.spent or '0')
end
redis.call('HINCRBY', KEYS[2], 'movements', #entries)
local last = entries[#entries][1]
redis.call('XTRIM', KEYS[1], 'MINID', last)
redis.call('XDEL', KEYS[1], last)
return #entries
