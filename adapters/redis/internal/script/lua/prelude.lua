-- What the scripts of a shard share. Each of them begins with the parts of this text that it uses, after lines in which
-- Go defines GROUP (the name of the consumer group), STATE (the fields of a record that state returns) and NAMED (how
-- many arguments have a name). A part is one local, with what follows it; what begins with do is in every script.
--
-- Redis runs a script alone, so whatever it does to a request is one step. All keys of a shard begin with KEYS[1],
-- whose hash tag keeps them on one node of a Cluster. The scripts make the others from it:
--
--   :r:<id>             hash, the record, with request and response: see record.go
--   :q:<lane>:<name>    stream, the ready and the begun requests of one endpoint in one lane, with one consumer group
--   :outbox:<kind>      stream, the notices still owed, with one consumer group: results and letters for final
--                       requests, requests for ready ones that another broker hands over
--   :told:<kind>        string, how many milliseconds an outbox keeps; missing when no process sends such notices
--   :endpoints          set, the endpoints that have streams
--   :used               sorted set, the same by the millisecond they were last known to be used
--   :bell:<endpoint>    list of at most one element, the wake-up: ready work may be there; idle workers block on it
--   :due                sorted set, delayed requests by the millisecond they are due
--   :returned           sorted set, ready requests that a worker handed back, by the millisecond they became ready: in
--                       no stream any more, and begun before all that is in one
--   :leases             sorted set, begun requests by the millisecond their lease ends
--   :carried            sorted set, ready requests that a carrier has or that are handed over, by the millisecond they
--                       became ready, or their message was about to be published again
--   :lent               sorted set, begun requests that a carrier has, by the millisecond their lease ends
--   :deadlines          sorted set, all unfinished requests by the millisecond to check whether they are overdue
--   :dead, :d:<id>      sorted set of dead letters by the millisecond they were made, and each of them as a hash
--   :k:<owner and key>  hash, an idempotency key in use
--   :final              channel, the id of every request that becomes final
--   :alive              hash, what processes note when they sweep: at, the millisecond of the last note; grace, until
--                       when leases that have ended are left to their holders; made, when the hash was made; round,
--                       how many notes there were
--   :shards, :carrier   strings, in the first shard: how many shards there are, and the queue.type of the processes
--   :pauses             sorted set, in the first shard: backends that asked to be left alone, by the millisecond that ends
--   :processes          sorted set, in the first shard: the processes that use the queue, by the millisecond of their
--                       last sign of life
--   :move               string, in the first shard: what the queue has to do with a move, see ports.MoveMark
--   :losses, :probe     strings: the process that looks for lost messages; what a health check writes
--   :rehearsal          what Open writes to check its permissions
--
-- The tag of the first shard is the name of the queue alone, so the stream of just that name is in its slot too: other
-- programs write requests there, or read them with queue.results_in.
--
-- Times in records are microseconds and only ever copied: Lua prints numbers with fewer digits. All others are
-- milliseconds. All are by the clock of Redis; what depends on the clock of a process comes as a span.

local shard = KEYS[1]
local due = shard .. ':due'
local returned = shard .. ':returned'
local leases = shard .. ':leases'
local deadlines = shard .. ':deadlines'
local dead = shard .. ':dead'
local endpointSet = shard .. ':endpoints'
local usedSet = shard .. ':used'
local carried = shard .. ':carried'
local lent = shard .. ':lent'
local alive = shard .. ':alive'
local pauses = shard .. ':pauses'
local processes = shard .. ':processes'

-- While a slot of a Cluster moves, its keys are on two nodes. Both then refuse a command with several keys when they do
-- not have them all ("Multi-key operations" in the specification of Redis Cluster). Asking for two keys that never
-- exist keeps a script from working on a part of the shard: it is refused before it has changed anything. Redis has no
-- code for this refusal, only this beginning of its text.
do
    local NOT_HERE = 'ERR Script attempted to access a non local key'
    local whole = redis.pcall('EXISTS', shard .. ':never', shard .. ':nowhere')
    if type(whole) == 'table' then
        if string.sub(whole.err, 1, #NOT_HERE) ~= NOT_HERE then return whole end
        return redis.error_reply('TRYAGAIN the slot of ' .. shard .. ' is being moved')
    end
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function nowMicros() return time[1] .. string.format('%06d', tonumber(time[2])) end

local function recordKey(id) return shard .. ':r:' .. id end
local function letterKey(id) return shard .. ':d:' .. id end
local function wakeUpKey(endpoint) return shard .. ':bell:' .. endpoint end

-- state reads the fields STATE of a record.
local function state(id) return redis.call('HMGET', recordKey(id), unpack(STATE)) end

-- WHERE REQUESTS WAIT

-- A queue is named <lane>:<endpoint>. Three names are special. The empty one is the stream that other programs read.
-- CARRIED: a carrier has the message, and Redis does not have the whole request. HANDED: other programs get it from
-- another broker, and Redis has the whole request too; its stream is the outbox on the way there.
local CARRIED = '-'
local HANDED = '>'

local function streamKey(queue)
    if queue == '' then return string.sub(shard, 2, -2) end
    if queue == HANDED then return shard .. ':outbox:requests' end
    return shard .. ':q:' .. queue
end
local function endpointOf(queue) return string.sub(queue, string.find(queue, ':', 1, true) + 1) end

-- wake wakes one idle worker that waits for the endpoint.
local function wake(endpoint)
    local key = wakeUpKey(endpoint)
    if redis.call('EXISTS', key) == 0 then redis.call('LPUSH', key, '1') end
end

-- use notes that the endpoint is used, and makes its streams if it is new. The wake-up without a name is for workers
-- that do not know the endpoint yet.
local function use(endpoint)
    redis.call('ZADD', usedSet, now, endpoint)
    if redis.call('SADD', endpointSet, endpoint) == 0 then return end
    for _, lane in ipairs({'high:', 'low:'}) do
        redis.pcall('XGROUP', 'CREATE', streamKey(lane .. endpoint), GROUP, '0', 'MKSTREAM')
    end
    wake('')
end

-- ready puts a request at the end of its queue and returns its entry there. Message is what other programs read.
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
    use(endpoint)
    local entry = redis.call('XADD', streamKey(queue), '*', 'id', id, 'size', size)
    wake(endpoint)
    return entry
end

-- enqueue puts a request where it waits: among the delayed for dueIn milliseconds, or among the ready. It returns its
-- fields entry and next; dueMicros is when it is due. Now is rounded down, so that one more keeps it from being early.
local function enqueue(id, queue, size, dueIn, dueMicros, message)
    if tonumber(dueIn) > 0 then
        redis.call('ZADD', due, now + 1 + dueIn, id)
        if queue == '' then redis.call('HSET', recordKey(id), 'message', message) end
        return '', dueMicros
    end
    return ready(id, queue, size, message), ''
end

-- An entry that no stream has: nobody finds it there, and to remove it does nothing.
local NOWHERE = '0-1'

-- putBack lets a request be begun again before all that is in a stream. Entry is what it had there, if anything. It
-- returns the entry that it has now.
local function putBack(id, queue, entry)
    local endpoint = endpointOf(queue)
    use(endpoint)
    local inStream = entry ~= '' and entry ~= NOWHERE
    redis.call('ZADD', returned, inStream and string.match(entry, '^%d+') or now, id)
    wake(endpoint)
    return inStream and entry or NOWHERE
end

-- dequeue removes a request from wherever it waits or is held. What a carrier has of it stays there.
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
    else
        redis.call('ZREM', returned, id)
    end
    redis.call('XDEL', stream, entry)
end

-- lastDelivered returns where the unread entries of a stream begin, or nil when its group is gone.
local function lastDelivered(stream)
    for _, group in ipairs(redis.pcall('XINFO', 'GROUPS', stream)) do
        local found = {}
        for i = 1, #group, 2 do found[group[i]] = group[i + 1] end
        if found['name'] == GROUP then return found['last-delivered-id'] end
    end
end

-- WHOSE A REQUEST IS

-- gap returns how many milliseconds may pass between two notes in :alive: a third of a lease, which is how often leases
-- are extended, and at least half a second. Every process sweeps twice in that time or more often.
local function gap(lease) return math.max(lease / 3, 500) end

-- graceUntil returns the millisecond until which leases that have ended are left to their holders. When there was no
-- note for longer than a gap, Redis was away, or no process was there: whoever still lives gets one more lease to
-- extend its own, and to save what it has meanwhile finished.
local function graceUntil(lease)
    local noted = redis.call('HMGET', alive, 'at', 'grace')
    local at = tonumber(noted[1])
    if at and now - at <= gap(lease) then return math.min(tonumber(noted[2]) or 0, now + lease) end
    redis.call('HSET', alive, 'at', now, 'grace', now + lease)
    return now + lease
end

-- HOW REQUESTS END

-- bury makes a dead letter of a request that has its final status.
local function bury(id, lifetime)
    local letter = letterKey(id)
    local names = {'facts', 'request', 'size', 'status', 'attempts', 'reason', 'error', 'code'}
    local values = redis.call('HMGET', recordKey(id), unpack(names))
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

-- release lets an idempotency key be used again, unless another request already uses it.
local function release(id)
    local key = redis.call('HGET', recordKey(id), 'key')
    if key and redis.call('HGET', shard .. ':k:' .. key, 'id') == id then
        redis.call('DEL', shard .. ':k:' .. key)
    end
end

local function deadLettered(status) return status == 'FAILED' or status == 'TIMEOUT' end

-- owe adds a notice of a final request to an outbox, when there are processes that send them: see outbox.go. The notice
-- needs so many bytes of the hash, which has that lifetime. A hash that would expire before the notice is kept as long
-- as it; until says when it would have expired.
local function owe(kind, id, bytes, hash, lifetime)
    local keep = redis.call('GET', shard .. ':told:' .. kind)
    if not keep then return end
    local expires = ''
    if tonumber(keep) > tonumber(lifetime) then
        redis.call('PEXPIRE', hash, keep)
        expires = now + tonumber(lifetime)
    end
    local outbox = shard .. ':outbox:' .. kind
    redis.call('XADD', outbox, 'MINID', '~', now - tonumber(keep), '*',
        'id', id, 'bytes', bytes or '0', 'until', expires)
    redis.call('PEXPIRE', outbox, keep)
end

-- conclude makes a request final that is in no queue any more, and does everything that this owes: the dead letter, the
-- notices, and waking those who wait for it. With noNotice there is no notice of the result.
local function conclude(id, status, updated, attempts, reason, problem, took, lifetime, letterLifetime, noNotice)
    local key = recordKey(id)
    redis.call('ZREM', deadlines, id)
    redis.call('HSET', key, 'status', status, 'updated', updated, 'attempts', attempts, 'deliveries', '0',
        'reason', reason, 'error', problem, 'completed', updated, 'took', took, 'next', '')
    if deadLettered(status) then bury(id, letterLifetime) end
    if status == 'FAILED' or status == 'CANCELLED' then release(id) end
    if status == 'CANCELLED' then redis.call('HDEL', key, 'code', 'response', 'answered') end
    redis.call('PEXPIRE', key, lifetime)
    local sizes = redis.call('HMGET', key, 'answered', 'size')
    if not noNotice then owe('results', id, sizes[1], key, lifetime) end
    if deadLettered(status) then owe('letters', id, sizes[2], letterKey(id), letterLifetime) end
    redis.call('HDEL', key, 'request', 'message', 'token', 'entry', 'queue', 'size', 'key')
    redis.call('SPUBLISH', shard .. ':final', id)
end

-- WHAT A CARRIER HAS

-- For so long after its deadline a carrier may still have the message of a request: messages are kept there for the
-- longest life of a request and a day.
local CARRIED_ON = 25 * 3600 * 1000

-- born makes the record of a message that has none: another program wrote it, or Redis has lost its data.
local function born(id, facts, submitted, overdueIn, size, attempts, content)
    redis.call('HSET', recordKey(id), 'facts', facts, 'status', 'PENDING', 'updated', submitted, 'next', '',
        'queue', CARRIED, 'size', size, 'entry', '', 'content', content)
    if attempts ~= '0' then redis.call('HSET', recordKey(id), 'attempts', attempts) end
    redis.call('ZADD', deadlines, now + overdueIn, id)
end

-- incomplete reports whether a request has a dead letter without its original: it ended while a carrier had it.
local function incomplete(id)
    local letter = redis.call('HMGET', letterKey(id), 'facts', 'request', 'message')
    return letter[1] and not letter[2] and not letter[3]
end
