-- How requests end.

-- bury makes a dead letter of a request that has its final status.
local function bury(id, lifetime)
    local key, letter = recordKey(id), letterKey(id)
    local names = {'facts', 'request', 'size', 'status', 'attempts', 'reason', 'error', 'code'}
    local values = redis.call('HMGET', key, unpack(names))
    local set = {'failed', now}
    for i, name in ipairs(names) do
        if values[i] then
            set[#set + 1] = name
            set[#set + 1] = values[i]
        end
    end
    redis.call('HSET', letter, unpack(set))
    redis.call('PEXPIRE', letter, lifetime)
    redis.call('ZADD', dead, now, id)
end

-- free lets an idempotency key be used again, unless another request already does.
local function free(id)
    local key = redis.call('HGET', recordKey(id), 'key')
    if key and redis.call('HGET', shard .. ':k:' .. key, 'id') == id then
        redis.call('DEL', shard .. ':k:' .. key)
    end
end

local function lettered(status) return status == 'FAILED' or status == 'TIMEOUT' end

-- owe notes what others are to be told of a final request: see outbox.go. It tells how many bytes that means to read.
local function owe(id, status, owed)
    if owed == '' or owed == 'letters' and not lettered(status) then return end
    if owed == 'all' and not lettered(status) then owed = 'results' end
    local sizes = redis.call('HMGET', recordKey(id), 'size', 'answered')
    redis.call('XADD', shard .. ':outbox', '*', 'id', id, 'owed', owed, 'bytes', (sizes[1] or 0) + (sizes[2] or 0))
end

-- conclude makes a request final that is in no queue any more, with everything that this owes.
local function conclude(id, status, updated, attempts, reason, problem, took, lifetime, letterLifetime, owed)
    local key = recordKey(id)
    redis.call('ZREM', deadlines, id)
    redis.call('HSET', key, 'status', status, 'updated', updated, 'attempts', attempts, 'deliveries', '0',
        'reason', reason, 'error', problem, 'completed', updated, 'took', took, 'next', '')
    if lettered(status) then bury(id, letterLifetime) end
    if status == 'FAILED' or status == 'CANCELLED' then free(id) end
    if status == 'CANCELLED' then redis.call('HDEL', key, 'code', 'response', 'answered') end
    owe(id, status, owed)
    redis.call('HDEL', key, 'request', 'message', 'token', 'entry', 'queue', 'size', 'key')
    redis.call('PEXPIRE', key, lifetime)
    redis.call('SPUBLISH', shard .. ':final', id)
end
