-- finish saves the outcome of a delivery and settles it, if the delivery is still its holder's. The same call made
-- again, because its answer was lost on its way, gets the same answer.
local id, token, status, attempts, updated = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local next, at = ARGV[6], ARGV[7]
local reason, problem, took = ARGV[8], ARGV[9], ARGV[10]
local code, response, answered = ARGV[11], ARGV[12], ARGV[13]
local lifetime, letterLifetime = ARGV[14], ARGV[15]
local call, deliveries = ARGV[16], ARGV[17]
-- What a broker carried of the request, and the queue that it waits in from now on, if it does. Empty: Redis has it all.
local request, queue = ARGV[#ARGV - 1], ARGV[#ARGV]

local key = recordKey(id)
local r = redis.call('HMGET', key, 'status', 'token', 'queue', 'entry', 'size', 'facts', 'answered', 'finished')
if r[8] == call then
    if status == 'PENDING' then return {'waits'} end
    return {'ended', r[6], r[7]}
end
if r[1] ~= 'PROCESSING' or r[2] ~= token then return {'lost'} end
-- Who has not got the request from the broker cannot hand it back.
if r[3] == CARRIED and queue == '' and status == 'PENDING' then return {'lost'} end

dequeue(id, r[3], r[4], r[1])
redis.call('HSET', key, 'finished', call)
if r[3] == CARRIED and queue ~= '' then redis.call('HSET', key, 'request', request, 'queue', queue) end
if code ~= '' then redis.call('HSET', key, 'code', code, 'response', response, 'answered', answered) end
if status ~= 'PENDING' then
    conclude(id, status, updated, attempts, reason, problem, took, lifetime, letterLifetime)
    return {'ended', r[6], code ~= '' and answered or r[7]}
end
local entry
entry, next = enqueue(id, r[3] == CARRIED and queue or r[3], r[5], at, next)
redis.call('HSET', key, 'status', status, 'attempts', attempts, 'deliveries', deliveries, 'updated', updated,
    'next', next, 'entry', entry, 'token', '')
return {'waits'}
