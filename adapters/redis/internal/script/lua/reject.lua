-- reject makes a dead letter of a message that cannot be read, and a record that says so.
--   noNotice      1: no notice of the result, because the message is one itself
local id, facts, message, problem, lifetime, letterLifetime, noNotice = unpack(ARGV, 1, NAMED)

if redis.call('EXISTS', recordKey(id)) == 1 then return {'same'} end -- done already, and the message not settled
redis.call('HSET', recordKey(id), 'facts', facts, 'size', #message)
conclude(id, 'FAILED', nowMicros(), '0', 'undecodable', problem, '0', lifetime, letterLifetime, noNotice == '1')
redis.call('HSET', letterKey(id), 'message', message)
return {'ended', 'state', state(id)}
