-- conclude saves the result that another program made of a request, whatever state it is in, unless it is final.
--   code          of the response; empty: there is none
--   answered      the response's size
local id, status, updated, reason, problem, took, code, response, answered, lifetime, letterLifetime =
    unpack(ARGV, 1, NAMED)

local r = redis.call('HMGET', recordKey(id), 'status', 'queue', 'entry', 'attempts')
if not r[1] then return {'missing'} end
if not r[2] then return {'same'} end -- the first final result wins
dequeue(id, r[2], r[3], r[1])
if code ~= '' then redis.call('HSET', recordKey(id), 'code', code, 'response', response, 'answered', answered) end
conclude(id, status, updated, r[4] or '0', reason, problem, took, lifetime, letterLifetime)
return {'ended', 'state', state(id)}
