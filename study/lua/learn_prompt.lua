-- learn_prompt: keep what a prompt was billed for; a lower count changes nothing.
-- KEYS 1 prompt tokens (hash)
-- ARGV 1 prompt's name  2 tokens
-- Returns a word: learned | known
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known and tonumber(known) >= tonumber(ARGV[2]) then return 'known' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 'learned'
