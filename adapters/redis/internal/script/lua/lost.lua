-- lost ends requests whose messages the carrier has lost: those that are waiting to be begun since before a
-- millisecond, and those whose lease ended before it.
--   limit         of requests to end
--   lease         milliseconds
--   keptProblem   the error of those whose original is kept
local before, limit, lease, reason, problem, keptProblem, lifetime, letterLifetime = unpack(ARGV, 1, NAMED)
limit = tonumber(limit)

local ended = {}

local function take(set)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', set, '-inf', '(' .. before, 'LIMIT', 0, limit - #ended)) do
        local r = redis.call('HMGET', recordKey(id), 'status', 'queue', 'entry', 'attempts', 'request')
        if not r[1] then
            redis.call('ZREM', set, id) -- another program deleted the record
        elseif r[2] == CARRIED then
            -- Should a message come all the same, whoever receives it must find that the request is final.
            local overdueAt = redis.call('ZSCORE', deadlines, id) or now
            local remembered = math.max(tonumber(lifetime), overdueAt - now + CARRIED_ON)
            dequeue(id, r[2], r[3], r[1])
            conclude(id, 'FAILED', nowMicros(), r[4] or '0', reason, r[5] and keptProblem or problem, '0', remembered,
                letterLifetime)
            ended[#ended + 1] = {id, state(id)}
        end
    end
end

take(carried)
if graceUntil(lease) <= now then take(lent) end
return {'ended', 'ended', {{'id', 'state'}, ended}}
