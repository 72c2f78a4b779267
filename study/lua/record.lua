-- record: append a result to the stream, once for each id.
-- KEYS 1 ids recorded (set)  2 results (stream)
-- ARGV 1 id  2 the result (JSON)
-- Returns a word: recorded | exists
if redis.call('SADD', KEYS[1], ARGV[1]) == 0 then return 'exists' end
redis.call('XADD', KEYS[2], '*', 'result', ARGV[2])
return 'recorded'
