-- begin makes a request PROCESSING whose message a broker has handed out, unless there is a reason not to. The same call
-- made again, because its answer was lost on its way, gets the same answer.
local id, token, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
local make, at = ARGV[4] == '1', tonumber(ARGV[5]) -- the record, if there is none; when the request is due
local facts, submitted, late, size, attempts = ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]

local key = recordKey(id)
local function read()
    return redis.call('HMGET', key, 'facts', 'queue', 'status', 'token', 'attempts', 'deliveries', 'code')
end

local r = read()
if not r[1] then
    if not make then return {'missing'} end
    if at > now then return {'keep'} end
    born(id, facts, submitted, late, size, attempts)
    r = read()
end
if not r[2] then return {incomplete(id) and 'keep' or 'done'} end -- it is final
if r[2] ~= CARRIED then return {'done'} end -- Redis has it all: this is a copy
local deliveries = tonumber(r[6]) or 0
if r[3] ~= 'PROCESSING' then
    redis.call('ZREM', carried, id)
    deliveries = deliveries + 1
elseif r[4] ~= token then
    if tonumber(redis.call('ZSCORE', lent, id) or '0') > now then return {'keep'} end
    deliveries = deliveries + 1
end
redis.call('HSET', key, 'status', 'PROCESSING', 'token', token, 'updated', nowMicros, 'deliveries', deliveries)
redis.call('HDEL', key, 'unsent')
redis.call('ZADD', lent, now + lease, id)
return {'go', r[1], r[5] or '0', deliveries, r[7] and 1 or 0}
