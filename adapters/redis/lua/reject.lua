-- reject makes a dead letter of a message that nobody can read, and a record that says so.
local id, facts, message, problem = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lifetime, letterLifetime = ARGV[5], ARGV[6]
local isResult = ARGV[7] == '1' -- and has none of its own

if redis.call('EXISTS', recordKey(id)) == 1 then return {'same'} end -- done already, and not settled
redis.call('HSET', recordKey(id), 'facts', facts, 'size', #message)
conclude(id, 'FAILED', nowMicros, '0', 'undecodable', problem, '0', lifetime, letterLifetime, isResult)
redis.call('HSET', letterKey(id), 'message', message)
return {'ended', state(id)}
