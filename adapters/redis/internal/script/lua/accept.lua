-- accept saves a new request: its record, and its place in the queue. A repeat is answered even when there is no room.
--   queue         see the prelude
--   request       all of it; empty: only a carrier has it
--   message       what other programs read, when the request is for them
--   dueIn         milliseconds; 0 is now. dueMicros is that moment in microseconds, for the record
--   overdueIn     milliseconds until the check whether it is too late
--   maxDepth      of unfinished requests; 0 is no limit
--   key           the idempotency key, or empty
--   keyTTL        of that key, in milliseconds
--   attempts      charged already
--   content       names what the request says, for a message that comes with its id; empty: none does
--   foreign       1: it came as a message, and a request with its id and other content is another one
local id, facts, queue, size, request, message, submitted, dueIn, dueMicros, overdueIn, maxDepth,
    key, fingerprint, keyTTL, attempts, content, foreign = unpack(ARGV, 1, NAMED)

-- again notes that the message of an earlier request is about to be published, perhaps not for the first time.
local function again(earlier) redis.call('ZADD', carried, 'XX', now, earlier) end

if redis.call('EXISTS', recordKey(id)) == 1 then
    if foreign == '1' and redis.call('HGET', recordKey(id), 'content') ~= content then return {'used'} end
    -- It is sent again, because the first answer was lost on its way.
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
local entry, nextAttempt = enqueue(id, queue, size, dueIn, dueMicros, message)
redis.call('HSET', record, 'facts', facts, 'status', 'PENDING', 'updated', submitted, 'next', nextAttempt,
    'queue', queue, 'size', size, 'entry', entry)
if #request > 0 then redis.call('HSET', record, 'request', request) end
if attempts ~= '0' then redis.call('HSET', record, 'attempts', attempts) end
if content ~= '' then redis.call('HSET', record, 'content', content) end
redis.call('ZADD', deadlines, now + overdueIn, id)
if key ~= '' then
    redis.call('HSET', record, 'key', key)
    if queue == CARRIED then redis.call('HSET', record, 'unsent', '1') end
    redis.call('HSET', shard .. ':k:' .. key, 'id', id, 'fingerprint', fingerprint, 'submitted', submitted)
    redis.call('PEXPIRE', shard .. ':k:' .. key, keyTTL)
end
return {'new', 'next', nextAttempt}
