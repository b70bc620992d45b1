-- What scripts about requests that a broker carries have in common.

-- born makes the record of a message that has none: others wrote it, or Redis has lost its data.
local function born(id, facts, submitted, late, size, attempts)
    redis.call('HSET', recordKey(id), 'facts', facts, 'status', 'PENDING', 'updated', submitted, 'next', '',
        'queue', CARRIED, 'size', size, 'entry', '')
    if attempts ~= '0' then redis.call('HSET', recordKey(id), 'attempts', attempts) end
    redis.call('ZADD', deadlines, late, id)
end

-- incomplete tells whether a request has a dead letter without its original: it ended while a broker carried it.
local function incomplete(id)
    local letter = redis.call('HMGET', letterKey(id), 'facts', 'request', 'message')
    return letter[1] and not letter[2] and not letter[3]
end
