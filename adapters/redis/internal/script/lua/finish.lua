-- finish saves the outcome of a delivery and ends the delivery, if it still is its holder's. The same call made again,
-- because its answer was lost on its way, gets the same answer.
--   call          names the call; a repeat has the same name
--   deliveries    hand-outs without an outcome that count on: those of a delivery that was handed back
--   dueIn         milliseconds until the next attempt; 0: at once. dueMicros is that moment in microseconds, for the record
--   code          of the response; empty: there is none
--   answered      the response's size
--   request       what a carrier had of the request, and queue where it waits from now on; empty: Redis has all of it
local id, token, call, status, attempts, deliveries, updated, dueIn, dueMicros, reason, problem, took, code, response,
    answered, request, queue, lifetime, letterLifetime = unpack(ARGV, 1, NAMED)

local key = recordKey(id)
local r = redis.call('HMGET', key, 'status', 'token', 'queue', 'entry', 'size', 'facts', 'answered', 'finished')
local inQueue, entry, size, facts = r[3], r[4], r[5], r[6]
if r[8] == call then
    if status == 'PENDING' then return {'waits'} end
    return {'ended', 'facts', facts, 'answered', r[7]}
end
if r[1] ~= 'PROCESSING' or r[2] ~= token then return {'lost'} end
-- Without the request from the carrier nobody could begin it again.
if inQueue == CARRIED and queue == '' and status == 'PENDING' then return {'lost'} end

dequeue(id, inQueue, entry, 'PROCESSING')
redis.call('HSET', key, 'finished', call)
if inQueue == CARRIED and queue ~= '' then
    redis.call('HSET', key, 'request', request, 'queue', queue)
    inQueue = queue
end
if code ~= '' then redis.call('HSET', key, 'code', code, 'response', response, 'answered', answered) end
if status ~= 'PENDING' then
    conclude(id, status, updated, attempts, reason, problem, took, lifetime, letterLifetime)
    return {'ended', 'facts', facts, 'answered', code ~= '' and answered or r[7]}
end
local nextAttempt = ''
if tonumber(dueIn) > 0 or inQueue == CARRIED or inQueue == HANDED or inQueue == '' then
    entry, nextAttempt = enqueue(id, inQueue, size, dueIn, dueMicros)
else
    entry = putBack(id, inQueue, entry)
end
redis.call('HSET', key, 'status', status, 'attempts', attempts, 'deliveries', deliveries, 'updated', updated,
    'next', nextAttempt, 'entry', entry, 'token', '')
return {'waits'}
