-- accept saves a new request: its record, and its place in the queue. A repeat is answered even when there is no room.
--   queue         see the prelude
--   request       all of it; empty: only a carrier has it
--   message       what other programs read, when the request is for them
--   dueAt         the millisecond; 0 is now. dueMicros is the same in microseconds
--   overdueAt     the millisecond to check whether it is too late
--   maxDepth      of unfinished requests; 0 is no limit
--   key           the idempotency key, or empty
--   attempts      charged already
local id, facts, queue, size, request, message, submitted, dueAt, dueMicros, overdueAt, maxDepth,
    key, fingerprint, keyExpires, attempts = unpack(ARGV, 1, NAMED)

-- again notes that the message of an earlier request is about to be published, perhaps not for the first time.
local function again(earlier) redis.call('ZADD', carried, 'XX', now, earlier) end

if redis.call('EXISTS', recordKey(id)) == 1 then -- sent again, because the first answer was lost on its way
    if queue == CARRIED then again(id) end
    return {'same', 'id', id, 'submitted', submitted, 'unsent', 1, 'state', state(id)}
end
if key ~= '' then
    local held = redis.call('HMGET', shard .. ':k:' .. key, 'id', 'fingerprint', 'submitted')
    if held[1] then
        if held[2] ~= fingerprint then return {'mismatch', 'id', held[1]} end
        local unsent = redis.call('HGET', recordKey(held[1]), 'unsent')
        if unsent then again(held[1]) end
        return {'same', 'id', held[1], 'submitted', held[3], 'unsent', unsent, 'state', state(held[1])}
    end
end
maxDepth = tonumber(maxDepth)
if maxDepth > 0 and redis.call('ZCARD', deadlines) >= maxDepth then return {'full'} end

local record = recordKey(id)
local entry, nextAttempt = enqueue(id, queue, size, dueAt, dueMicros, message)
redis.call('HSET', record, 'facts', facts, 'status', 'PENDING', 'updated', submitted, 'next', nextAttempt,
    'queue', queue, 'size', size, 'entry', entry)
if #request > 0 then redis.call('HSET', record, 'request', request) end
if attempts ~= '0' then redis.call('HSET', record, 'attempts', attempts) end
redis.call('ZADD', deadlines, overdueAt, id)
if key ~= '' then
    redis.call('HSET', record, 'key', key)
    if queue == CARRIED then redis.call('HSET', record, 'unsent', '1') end
    redis.call('HSET', shard .. ':k:' .. key, 'id', id, 'fingerprint', fingerprint, 'submitted', submitted)
    redis.call('PEXPIREAT', shard .. ':k:' .. key, keyExpires)
end
return {'new', 'next', nextAttempt}
