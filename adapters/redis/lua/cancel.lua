-- cancel ends a request that nobody has begun.
local id, updated, lifetime = ARGV[1], ARGV[2], ARGV[3]

local r = redis.call('HMGET', recordKey(id), 'status', 'queue', 'entry', 'attempts')
local status = r[1]
if not status then return {'missing'} end
if status == 'PENDING' then
    local late = redis.call('ZSCORE', deadlines, id)
    dequeue(id, r[2], r[3], status)
    -- A broker still has the message: whoever gets it must find that it is cancelled.
    if r[2] == CARRIED and late then lifetime = math.max(tonumber(lifetime), late - now + CARRIED_ON) end
    conclude(id, 'CANCELLED', updated, r[4] or '0', '', '', '0', lifetime, '0')
    return {'ended', state(id)}
end
if status == 'CANCELLED' then return {'same', state(id)} end
return {'conflict', state(id)}
