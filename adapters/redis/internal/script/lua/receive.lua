-- receive begins what is ready, within the credit: what was handed back first, then deliveries whose lease has ended,
-- then new ones, the high lane before the low one and endpoints in turn. What it returns is PROCESSING, each under its
-- own token.
--   nonce         what the tokens begin with
--   lease         milliseconds
--   share         one delivery in so many comes from the low lane when both wait
--   streak        high deliveries since the last low one
--   turn          the endpoint whose turn it is
--   more          1: another shard had something; then nothing may be larger than the credit
--   lanes         both, or the only one to look in; returned: none, only what was handed back
--   strict        1: endpoints that are not named below have no credit; 0: all of it
-- After these come endpoint and credit of each that is named; less than 0 is all.
local consumer, nonce, count, bytes, lease, share, streak, turn, more, lanes, strict = unpack(ARGV, 1, NAMED)
count, bytes, lease = tonumber(count), tonumber(bytes), tonumber(lease)
share, streak, turn = tonumber(share), tonumber(streak), tonumber(turn)
more, strict = more == '1', strict == '1'

local credit = {}
for i = NAMED + 1, #ARGV, 2 do credit[ARGV[i]] = tonumber(ARGV[i + 1]) end

local out, used = {}, 0
local micros = nowMicros()

-- allowed reports whether an endpoint has credit for one more than so many.
local function allowed(endpoint, taken)
    local left = credit[endpoint]
    if left == nil then return not strict end
    return left < 0 or left > taken
end
local function wanted(queue)
    return lanes == 'both' or lanes == 'returned' or string.sub(queue, 1, #lanes) == lanes
end
local function fits(size, chosen, sum) return chosen == 0 and not more or sum + size <= bytes end

-- begin makes a request PROCESSING, if its record says that it waits, or is held, at this place.
local function begin(id, entry, status, endpoint, size)
    local key = recordKey(id)
    local r = redis.call('HMGET', key, 'status', 'entry', 'facts', 'request', 'attempts', 'deliveries', 'code')
    if r[1] ~= status or r[2] ~= entry then return false end
    local token = nonce .. '.' .. (#out + 1)
    local deliveries = (tonumber(r[6]) or 0) + 1
    redis.call('HSET', key, 'status', 'PROCESSING', 'token', token, 'updated', micros, 'deliveries', deliveries)
    redis.call('ZADD', leases, now + lease, id)
    out[#out + 1] = {id, token, r[3], r[4] or '', r[5] or '0', deliveries, r[7] and 1 or 0}
    used = used + size
    if (credit[endpoint] or 0) > 0 then credit[endpoint] = credit[endpoint] - 1 end
    return true
end

-- toEnd makes ready again, behind everything else, what a consumer held or handed back; no attempt is charged.
local function toEnd(id, queue, entry, size, status)
    dequeue(id, queue, entry, status)
    redis.call('HSET', recordKey(id), 'status', 'PENDING', 'token', '', 'updated', micros,
        'entry', ready(id, queue, size))
end

-- So many that were handed back, and as many whose lease has ended, are looked at.
local atOnce = 256

-- takeBack begins what was handed back. What has no credit stays, unless it is in the way of the rest.
local function takeBack()
    local all = redis.call('ZRANGE', returned, 0, atOnce - 1)
    for _, id in ipairs(all) do
        if #out == count then break end
        local r = redis.call('HMGET', recordKey(id), 'queue', 'entry', 'size', 'status')
        local endpoint, size = r[1] and endpointOf(r[1]), tonumber(r[3])
        if r[4] ~= 'PENDING' then
            redis.call('ZREM', returned, id) -- another program deleted the record
        elseif not allowed(endpoint, 0) then
            if #all == atOnce then toEnd(id, r[1], r[2], size, 'PENDING') end
        elseif wanted(r[1]) and fits(size, #out, used) then
            redis.call('ZREM', returned, id)
            begin(id, r[2], 'PENDING', endpoint, size)
        end
    end
end

-- takeOver begins again what a consumer held that did not extend its lease. What has no credit it puts at the end, so
-- that it is not in the way of the rest. It reports whether there may be more to look at.
local function takeOver()
    local over = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, atOnce)
    if #over > 0 and graceUntil(lease) > now then return false end
    for _, id in ipairs(over) do
        if #out == count then break end
        local r = redis.call('HMGET', recordKey(id), 'queue', 'entry', 'size', 'status')
        if r[4] ~= 'PROCESSING' then
            redis.call('ZREM', leases, id) -- another program deleted the record
        else
            local endpoint, size = endpointOf(r[1]), tonumber(r[3])
            if not allowed(endpoint, 0) then
                toEnd(id, r[1], r[2], size, 'PROCESSING')
            elseif wanted(r[1]) and fits(size, #out, used) then
                redis.pcall('XCLAIM', streamKey(r[1]), GROUP, consumer, 0, r[2], 'JUSTID')
                begin(id, r[2], 'PROCESSING', endpoint, size)
            end
        end
    end
    return #over == atOnce
end

-- unreadFrom is lastDelivered, and makes the group again if it is gone.
local function unreadFrom(stream)
    local last = lastDelivered(stream)
    if not last then
        redis.call('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
        last = '0-0'
    end
    return last
end

-- A queue is a stream with a window on its first unread entries.
local window = math.min(count, 32) + 1
local queues = {}

local function open(lane, endpoint)
    local name = lane .. endpoint
    local q = queues[name]
    if q then return q end
    q = {stream = streamKey(name), endpoint = endpoint, entries = {}, at = 1, taken = 0}
    if redis.call('XLEN', q.stream) == 0 then q.dry = true else q.last = unreadFrom(q.stream) end
    queues[name] = q
    return q
end

-- peek returns the next unread entry, or nil.
local function peek(q)
    if q.at > #q.entries and not q.dry then
        q.entries, q.at = redis.call('XRANGE', q.stream, '(' .. q.last, '+', 'COUNT', window), 1
        if #q.entries < window then q.dry = true end
        if #q.entries > 0 then q.last = q.entries[#q.entries][1] end
    end
    return q.entries[q.at]
end

local endpoints = {}
for _, endpoint in ipairs(redis.call('SMEMBERS', endpointSet)) do
    if allowed(endpoint, 0) then endpoints[#endpoints + 1] = endpoint end
end
table.sort(endpoints) -- so that a turn means something

local picked = {} -- entries by endpoint

-- first finds the queue of a lane whose turn it is and that has something within the credit.
local function first(lane)
    if not wanted(lane) then return nil end
    for i = 0, #endpoints - 1 do
        local endpoint = endpoints[(turn + i) % #endpoints + 1]
        if allowed(endpoint, picked[endpoint] or 0) then
            local q = open(lane, endpoint)
            if peek(q) then return q, turn + i + 1 end
        end
    end
end

-- choose finds the queue that goes next, and returns turn and streak as they are after that.
local function choose()
    if streak + 1 >= share then
        local q, after = first('low:')
        if q then return q, after, 0 end
    end
    local q, after = first('high:')
    if q then return q, after, streak + 1 end
    q, after = first('low:')
    return q, after, 0
end

-- pick chooses entries, without touching them.
local function pick()
    local order, size = {}, used
    while #out + #order < count do
        local q, after, run = choose()
        if not q then break end
        local entry = peek(q)
        if not fits(tonumber(entry[2][4]), #out + #order, size) then break end
        order[#order + 1] = {q = q, entry = entry[1], id = entry[2][2], size = tonumber(entry[2][4])}
        size, turn, streak = size + tonumber(entry[2][4]), after, run
        q.at, q.taken = q.at + 1, q.taken + 1
        picked[q.endpoint] = (picked[q.endpoint] or 0) + 1
    end
    return order
end

takeBack()
local unfinished, order = false, {}
if lanes ~= 'returned' then
    unfinished = takeOver()
    order = pick()
end
for _, q in pairs(queues) do
    if q.taken > 0 then
        redis.call('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', q.taken, 'STREAMS', q.stream, '>')
    end
end
for _, e in ipairs(order) do
    if not begin(e.id, e.entry, 'PENDING', e.q.endpoint, e.size) then
        redis.call('XACK', e.q.stream, GROUP, e.entry) -- another program deleted the record
        redis.call('XDEL', e.q.stream, e.entry)
    end
end

-- The wake-ups of the endpoints that were looked at stay while something is left for another worker.
local looked = {}
for _, q in pairs(queues) do looked[q.endpoint] = true end
for endpoint in pairs(looked) do
    if peek(open('high:', endpoint)) or peek(open('low:', endpoint)) then
        wake(endpoint)
    else
        redis.call('DEL', wakeUpKey(endpoint))
    end
end
local columns = {'id', 'token', 'facts', 'request', 'attempts', 'deliveries', 'answered'}
return {'begun', 'streak', streak, 'turn', turn, 'endpoints', endpoints, 'deliveries', {columns, out},
    'unfinished', unfinished and 1 or 0, 'returned', redis.call('ZCARD', returned)}
