-- cancel ends a request that nobody has begun.
--   lifetime      of the final record, in milliseconds
local id, updated, lifetime = unpack(ARGV, 1, NAMED)

local r = redis.call('HMGET', recordKey(id), 'status', 'queue', 'entry', 'attempts')
local status = r[1]
if not status then return {'missing'} end
if status == 'PENDING' then
    local overdueAt = redis.call('ZSCORE', deadlines, id)
    dequeue(id, r[2], r[3], status)
    -- The carrier still has the message: whoever receives it must find that the request is cancelled.
    if r[2] == CARRIED and overdueAt then lifetime = math.max(tonumber(lifetime), overdueAt - now + CARRIED_ON) end
    conclude(id, 'CANCELLED', updated, r[4] or '0', '', '', '0', lifetime, '0')
    return {'ended', 'state', state(id)}
end
if status == 'CANCELLED' then return {'same', 'state', state(id)} end
return {'conflict', 'state', state(id)}
