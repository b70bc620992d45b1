-- reject makes a dead letter of a message that is not accepted, and a record that says so.
--   message       the original, or its fields where it has none: see letter.go
--   request       what the message says; empty: that cannot be read
--   content       names the message
--   noNotice      1: no notice of the result, because the message is one itself
local id, facts, message, fields, request, content, reason, problem, lifetime, letterLifetime, noNotice =
    unpack(ARGV, 1, NAMED)

local key = recordKey(id)
if redis.call('EXISTS', key) == 1 then
    if redis.call('HGET', key, 'content') ~= content then return {'used'} end
    return {'same'} -- done already, and the message not settled
end
redis.call('HSET', key, 'facts', facts, 'size', #message + #fields + #request, 'content', content)
if request ~= '' then redis.call('HSET', key, 'request', request) end
conclude(id, 'FAILED', nowMicros(), '0', reason, problem, '0', lifetime, letterLifetime, noNotice == '1')
redis.call('HSET', letterKey(id), 'message', message)
if fields ~= '' then redis.call('HSET', letterKey(id), 'fields', fields) end
return {'ended', 'state', state(id)}
