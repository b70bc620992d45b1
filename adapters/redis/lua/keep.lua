-- keep takes all of a request into Redis that a broker carries, so that its message can go. One that waits does so in its
-- queue from now on; one that a worker holds stays with it, and is handed to another when its lease is over.
local id, request, queue = ARGV[1], ARGV[2], ARGV[3]
local make, at, next = ARGV[4] == '1', ARGV[5], ARGV[6] -- the record, if there is none; when the request is due
local facts, submitted, late, size, attempts = ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]

-- An entry that no stream has: nobody finds it there, and to remove it does nothing.
local NOWHERE = '0-1'

local key = recordKey(id)
local r = redis.call('HMGET', key, 'facts', 'queue', 'status', 'size')
if not r[1] then
    if not make then return {'missing'} end
    born(id, facts, submitted, late, size, attempts)
    r = {facts, CARRIED, 'PENDING', size}
end
if not r[2] then -- it is final
    if incomplete(id) then
        local letter = letterKey(id)
        redis.call('HSET', letter, 'request', request)
        owe('letters', id, #request, letter, redis.call('PTTL', letter)) -- others were told without it
    end
elseif r[2] == CARRIED and r[3] == 'PROCESSING' then
    known(endpointOf(queue))
    redis.call('HSET', key, 'request', request, 'queue', queue, 'entry', NOWHERE)
    redis.call('ZADD', leases, redis.call('ZSCORE', lent, id) or now, id)
    redis.call('ZREM', lent, id)
elseif r[2] == CARRIED then
    redis.call('ZREM', carried, id)
    local entry
    entry, next = enqueue(id, queue, r[4], at, next)
    redis.call('HSET', key, 'request', request, 'queue', queue, 'entry', entry, 'next', next)
    redis.call('HDEL', key, 'unsent')
end
return {'kept'}
