-- What the scripts of a shard share: this text stands before each of them, after lines that Go writes with the name of
-- the consumer group and the fields of a record (GROUP, STATE). See scripts.go.
--
-- A script runs alone, so whatever one of them does to a request is one step. All keys of a shard begin with KEYS[1],
-- whose hash tag keeps them on one node of a Cluster; the scripts make the others from it:
--
--   :r:<id>             hash, the record, with request and response: see record.go
--   :q:<lane>:<name>    stream, the ready and the begun requests of one endpoint in one lane, with one consumer group
--   :outbox:<kind>      stream, the requests that others are still to be told of, with one consumer group each: final
--                       ones, by what is told of them, results or letters, and ready ones, requests
--   :told:<kind>        string, how many milliseconds an outbox keeps; not there when no process tells others
--   :endpoints          set, the endpoints that have streams
--   :used               sorted set, the same by the millisecond they were last known to be used
--   :bell:<endpoint>    list of one element at most: somebody may find ready work there; idle workers block on it
--   :due                sorted set, delayed requests by the millisecond they are due
--   :leases             sorted set, begun requests by the millisecond their lease ends
--   :carried            sorted set, ready requests that a broker carries or is handed over, by the millisecond they
--                       became ready
--   :lent               sorted set, begun requests that a broker carries, by the millisecond their lease ends
--   :deadlines          sorted set, all unfinished requests by the millisecond to look whether they are too late
--   :dead, :d:<id>      sorted set of dead letters by the millisecond they were made, and each of them as a hash
--   :k:<owner and key>  hash, an idempotency key in use
--   :final              channel, told the id of every request that becomes final
--   :shards, :probe     strings: how many shards there are, in the first of them; what a health check writes
--   :rehearsal          what Open tries out whether it may write
--
-- The tag of the first shard is the name of the queue alone, so the stream of just that name is in its slot too: other
-- programs write requests there, or read them, when those are for consumers that are not ours.
--
-- Times in records are microseconds and only ever copied; Lua's numbers print fewer digits.

local shard = KEYS[1]
local due, leases, deadlines, dead = shard .. ':due', shard .. ':leases', shard .. ':deadlines', shard .. ':dead'
local endpointSet, usedSet = shard .. ':endpoints', shard .. ':used'
local carried, lent = shard .. ':carried', shard .. ':lent'

-- While a slot of a Cluster is moved, its keys are on two nodes. Then both refuse a command with several keys when they
-- do not have them all ("Multi-key operations" in the specification of Redis Cluster). So asking for two that there
-- never are keeps a script from working on a part of the shard: it is refused before it has done anything.
local whole = redis.pcall('EXISTS', shard .. ':never', shard .. ':nowhere')
if type(whole) == 'table' then
    if not string.find(whole.err, 'non local key', 1, true) then return whole end
    return redis.error_reply('TRYAGAIN the slot of ' .. shard .. ' is being moved')
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local nowMicros = time[1] .. string.format('%06d', tonumber(time[2]))

local function recordKey(id) return shard .. ':r:' .. id end
local function letterKey(id) return shard .. ':d:' .. id end
local function bellKey(endpoint) return shard .. ':bell:' .. endpoint end

-- A queue is named <lane>:<endpoint>. The one without a name is the stream for consumers that are not ours. There are two
-- more names: CARRIED stands for a broker that carries the request, and Redis does not have all of it; HANDED for a
-- broker where consumers that are not ours find it, and Redis has it too: its stream is the outbox on the way there.
local CARRIED, HANDED = '-', '>'
-- For so many milliseconds after its deadline a broker may still have the message of a request: ours keep them for the
-- longest life of a request and a day.
local CARRIED_ON = 25 * 3600 * 1000
local function streamKey(queue)
    if queue == '' then return string.sub(shard, 2, -2) end
    if queue == HANDED then return shard .. ':outbox:requests' end
    return shard .. ':q:' .. queue
end
local function endpointOf(queue) return string.sub(queue, string.find(queue, ':', 1, true) + 1) end

-- state reads a record as Go wants it.
local function state(id) return redis.call('HMGET', recordKey(id), unpack(STATE)) end
