-- Where requests wait.

-- ring tells an idle worker that there is work for the endpoint.
local function ring(endpoint)
    local bell = bellKey(endpoint)
    if redis.call('EXISTS', bell) == 0 then redis.call('LPUSH', bell, '1') end
end

-- known makes the streams of an endpoint that is new. The bell without a name wakes a worker that listens for such.
local function known(endpoint)
    redis.call('ZADD', usedSet, now, endpoint)
    if redis.call('SADD', endpointSet, endpoint) == 0 then return end
    for _, lane in ipairs({'high:', 'low:'}) do
        redis.pcall('XGROUP', 'CREATE', streamKey(lane .. endpoint), GROUP, '0', 'MKSTREAM')
    end
    ring('')
end

-- ready puts a request at the end of its queue and gives its place there. Consumers that are not ours get a message.
local function ready(id, queue, size, message)
    if queue == '' then return redis.call('XADD', streamKey(queue), '*', 'payload', message) end
    if queue == CARRIED then
        redis.call('ZADD', carried, now, id)
        return ''
    end
    if queue == HANDED then
        redis.call('ZADD', carried, now, id)
        return redis.call('XADD', streamKey(queue), '*', 'id', id, 'bytes', size)
    end
    local endpoint = endpointOf(queue)
    known(endpoint)
    local entry = redis.call('XADD', streamKey(queue), '*', 'id', id, 'size', size)
    ring(endpoint)
    return entry
end

-- enqueue puts a request where it waits, among the delayed until the millisecond at, or among the ready. It gives its
-- fields entry and next; moment is at in microseconds.
local function enqueue(id, queue, size, at, moment, message)
    if tonumber(at) > now then
        redis.call('ZADD', due, at, id)
        if queue == '' then redis.call('HSET', recordKey(id), 'message', message) end
        return '', moment
    end
    return ready(id, queue, size, message), ''
end

-- dequeue takes a request out of wherever it waits or is held. What a broker has of it stays there.
local function dequeue(id, queue, entry, status)
    if queue == CARRIED then
        redis.call('ZREM', status == 'PROCESSING' and lent or carried, id)
        return
    end
    if entry == '' then
        redis.call('ZREM', due, id)
        return
    end
    if queue == HANDED then redis.call('ZREM', carried, id) end
    local stream = streamKey(queue)
    if status == 'PROCESSING' then
        redis.call('ZREM', leases, id)
        redis.call('XACK', stream, GROUP, entry)
    end
    redis.call('XDEL', stream, entry)
end
