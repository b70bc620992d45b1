-- sweep does what time asks for: delayed requests become ready, overdue ones end, dead letters and unused endpoints are
-- forgotten. It does a bounded part. It returns in how many milliseconds it should come again, the requests that ended,
-- how many became ready, and which backends are paused, each with the milliseconds that are left; also what :alive has,
-- and how many unfinished requests and dead letters there are. With an id it checks only whether that request is overdue.
--   limit         of each kind
--   unanswered    the status of an overdue request that no backend answered, and unansweredProblem its error
--   only          the id, or empty
--   lease         milliseconds
local limit, lifetime, letterLifetime, reason, unanswered, unansweredProblem, answered, answeredProblem, only,
    lease = unpack(ARGV, 1, NAMED)
lifetime = tonumber(lifetime)

-- An endpoint without requests is forgotten after so many milliseconds: any program may name some.
local UNUSED = 60000
local ended = {}
local grace = graceUntil(lease)

-- expire ends a request that is overdue. What a worker holds is left to it until its lease ends.
local function expire(id)
    local r = redis.call('HMGET', recordKey(id), 'status', 'queue', 'entry', 'attempts', 'code')
    if not r[1] or not r[2] then
        redis.call('ZREM', deadlines, id)
        redis.call('ZREM', due, id)
        return
    end
    local leased = r[1] == 'PROCESSING'
        and tonumber(redis.call('ZSCORE', leases, id) or redis.call('ZSCORE', lent, id) or '0')
    local ends = leased and math.max(leased, grace)
    if ends and ends > now then
        redis.call('ZADD', deadlines, ends, id)
        return
    end
    dequeue(id, r[2], r[3], r[1])
    local status, problem = unanswered, unansweredProblem
    if r[5] then status, problem = answered, answeredProblem end
    -- A carrier still has the message: whoever receives it must not begin it again, even if its dead letter was
    -- deleted.
    local remembered = r[2] == CARRIED and math.max(lifetime, CARRIED_ON) or lifetime
    conclude(id, status, nowMicros(), r[4] or '0', reason, problem, '0', remembered, letterLifetime)
    ended[#ended + 1] = {id, state(id)}
end

local columns = {'id', 'state'} -- of what ended

if only ~= '' then
    local overdueAt = tonumber(redis.call('ZSCORE', deadlines, only) or 'inf')
    if overdueAt <= now then expire(only) end
    return {'swept', 'wait', 0, 'ended', {columns, ended}, 'ready', 0}
end

-- forget removes the streams of an endpoint that is not used. They are made again when it is.
local function forget(endpoint)
    local high, low = streamKey('high:' .. endpoint), streamKey('low:' .. endpoint)
    if redis.call('XLEN', high) + redis.call('XLEN', low) > 0 then
        redis.call('ZADD', usedSet, now, endpoint)
        return
    end
    redis.call('DEL', high, low, wakeUpKey(endpoint))
    redis.call('SREM', endpointSet, endpoint)
    redis.call('ZREM', usedSet, endpoint)
end

local function upTo(set, moment) return redis.call('ZRANGEBYSCORE', set, '-inf', moment, 'LIMIT', 0, limit) end

-- Many processes sweep, and one note is enough for a while.
local noted = redis.call('HMGET', alive, 'at', 'made', 'round')
local made, round = noted[2] or nowMicros(), tonumber(noted[3]) or 0
if not noted[2] or math.abs(now - noted[1]) > gap(lease) / 4 then
    round = round + 1
    redis.call('HSET', alive, 'at', now, 'made', made, 'round', round)
end

local ripe = upTo(due, now)
for _, id in ipairs(ripe) do
    redis.call('ZREM', due, id)
    local r = redis.call('HMGET', recordKey(id), 'queue', 'size', 'message')
    if r[1] then redis.call('HSET', recordKey(id), 'entry', ready(id, r[1], r[2], r[3]), 'next', '') end
    if r[3] then redis.call('HDEL', recordKey(id), 'message') end
end
for _, id in ipairs(upTo(deadlines, now)) do expire(id) end
for _, id in ipairs(upTo(dead, now - tonumber(letterLifetime))) do
    redis.call('ZREM', dead, id) -- the letter has a lifetime of its own, which may be longer: see owe
end
for _, endpoint in ipairs(upTo(usedSet, now - UNUSED)) do forget(endpoint) end

local wait = 1000
for _, set in ipairs({due, deadlines}) do
    local earliest = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
    if earliest[2] then wait = math.min(wait, math.max(0, tonumber(earliest[2]) - now)) end
end
local paused = redis.call('ZRANGEBYSCORE', pauses, now + 1, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
for i = 2, #paused, 2 do paused[i] = tonumber(paused[i]) - now end
return {'swept', 'wait', wait, 'ended', {columns, ended}, 'ready', #ripe, 'paused', paused, 'now', now, 'made', made,
    'round', round, 'unfinished', redis.call('ZCARD', deadlines), 'dead', redis.call('ZCARD', dead)}
