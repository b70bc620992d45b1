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

-- owe notes that others are to be told of a final request, when there are processes that tell them: see outbox.go. So
-- many bytes have to be read for that, from a hash with that lifetime. A hash that would be gone before the note is kept
-- for as long as that; until says when it would have been gone.
local function owe(kind, id, bytes, hash, lifetime)
    local keep = redis.call('GET', shard .. ':told:' .. kind)
    if not keep then return end
    local ends = ''
    if tonumber(keep) > tonumber(lifetime) then
        redis.call('PEXPIRE', hash, keep)
        ends = now + tonumber(lifetime)
    end
    local outbox = shard .. ':outbox:' .. kind
    redis.call('XADD', outbox, 'MINID', '~', now - tonumber(keep), '*', 'id', id, 'bytes', bytes or '0', 'until', ends)
    redis.call('PEXPIRE', outbox, keep)
end

-- conclude makes a request final that is in no queue any more, with everything that this owes. Nobody is told of the
-- result of what has none.
local function conclude(id, status, updated, attempts, reason, problem, took, lifetime, letterLifetime, hasNone)
    local key = recordKey(id)
    redis.call('ZREM', deadlines, id)
    redis.call('HSET', key, 'status', status, 'updated', updated, 'attempts', attempts, 'deliveries', '0',
        'reason', reason, 'error', problem, 'completed', updated, 'took', took, 'next', '')
    if lettered(status) then bury(id, letterLifetime) end
    if status == 'FAILED' or status == 'CANCELLED' then free(id) end
    if status == 'CANCELLED' then redis.call('HDEL', key, 'code', 'response', 'answered') end
    redis.call('PEXPIRE', key, lifetime)
    local sizes = redis.call('HMGET', key, 'answered', 'size')
    if not hasNone then owe('results', id, sizes[1], key, lifetime) end
    if lettered(status) then owe('letters', id, sizes[2], letterKey(id), letterLifetime) end
    redis.call('HDEL', key, 'request', 'message', 'token', 'entry', 'queue', 'size', 'key')
    redis.call('SPUBLISH', shard .. ':final', id)
end
