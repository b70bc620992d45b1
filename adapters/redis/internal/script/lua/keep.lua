-- keep saves all of a request that a carrier has, so that its message can go. One that waits does so in its queue from
-- now on. One that a worker holds stays with it, and is delivered to another when its lease ends.
--   create        1: make the record if there is none, from facts and what follows it
--   dueIn         milliseconds; 0 is now. dueMicros is that moment in microseconds, for the record
--   overdueIn     milliseconds until the check whether it is too late
--   content       names what the message says
local id, request, queue, create, dueIn, dueMicros, facts, submitted, overdueIn, size, attempts, content =
    unpack(ARGV, 1, NAMED)

local key = recordKey(id)
local r = redis.call('HMGET', key, 'facts', 'queue', 'status', 'size', 'content')
if not r[1] then
    if create ~= '1' then return {'missing'} end
    born(id, facts, submitted, overdueIn, size, attempts, content)
    r = {facts, CARRIED, 'PENDING', size}
end
if r[5] and r[5] ~= content then return {'used'} end
if not r[2] then -- it is final
    if incomplete(id) then
        local letter = letterKey(id)
        redis.call('HSET', letter, 'request', request)
        owe('letters', id, #request, letter, redis.call('PTTL', letter)) -- the first notice was without it
        return {'completed'}
    end
elseif r[2] == CARRIED and r[3] == 'PROCESSING' then
    use(endpointOf(queue))
    redis.call('HSET', key, 'request', request, 'queue', queue, 'entry', NOWHERE)
    redis.call('ZADD', leases, redis.call('ZSCORE', lent, id) or now, id)
    redis.call('ZREM', lent, id)
elseif r[2] == CARRIED then
    redis.call('ZREM', carried, id)
    local entry, nextAttempt = enqueue(id, queue, r[4], dueIn, dueMicros)
    redis.call('HSET', key, 'request', request, 'queue', queue, 'entry', entry, 'next', nextAttempt)
    redis.call('HDEL', key, 'unsent')
end
return {'kept'}
