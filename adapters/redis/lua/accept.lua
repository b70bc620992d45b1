-- accept takes a request in: its record and its place in the queue. A repeat is answered even when there is no room.
local id, facts, queue, size, request = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local submitted, next, at = ARGV[6], ARGV[7], ARGV[8]
local late, maxDepth = ARGV[9], tonumber(ARGV[10])
local key, fingerprint, keyExpires = ARGV[11], ARGV[12], ARGV[13]
local attempts = ARGV[14] -- charged already
local message = ARGV[15] -- for consumers that are not ours

if redis.call('EXISTS', recordKey(id)) == 1 then
    return {'same', id, submitted, state(id), 1} -- sent again, because the first answer was lost on its way
end
if key ~= '' then
    local held = redis.call('HMGET', shard .. ':k:' .. key, 'id', 'fingerprint', 'submitted')
    if held[1] then
        if held[2] ~= fingerprint then return {'mismatch', held[1]} end
        return {'same', held[1], held[3], state(held[1]), redis.call('HGET', recordKey(held[1]), 'unsent')}
    end
end
if maxDepth > 0 and redis.call('ZCARD', deadlines) >= maxDepth then return {'full'} end

local entry
entry, next = enqueue(id, queue, size, at, next, message)
redis.call('HSET', recordKey(id), 'facts', facts, 'status', 'PENDING', 'updated', submitted, 'next', next,
    'queue', queue, 'size', size, 'entry', entry)
if queue ~= CARRIED then redis.call('HSET', recordKey(id), 'request', request) end
if attempts ~= '0' then redis.call('HSET', recordKey(id), 'attempts', attempts) end
redis.call('ZADD', deadlines, late, id)
if key ~= '' then
    redis.call('HSET', recordKey(id), 'key', key)
    if queue == CARRIED then redis.call('HSET', recordKey(id), 'unsent', '1') end
    redis.call('HSET', shard .. ':k:' .. key, 'id', id, 'fingerprint', fingerprint, 'submitted', submitted)
    redis.call('PEXPIREAT', shard .. ':k:' .. key, keyExpires)
end
return {'new', next}
