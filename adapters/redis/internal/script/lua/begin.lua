-- begin makes a request PROCESSING whose message a carrier has delivered, unless there is a reason not to. The same
-- call made again, because its answer was lost on its way, gets the same answer.
--   lease         milliseconds
--   create        1: make the record if there is none, from facts and what follows it
--   dueIn         milliseconds; 0 is now
--   overdueIn     milliseconds until the check whether it is too late
--   content       names what the message says
local id, token, lease, create, dueIn, facts, submitted, overdueIn, size, attempts, content =
    unpack(ARGV, 1, NAMED)

local key = recordKey(id)
local function read()
    return redis.call('HMGET', key, 'facts', 'queue', 'status', 'token', 'attempts', 'deliveries', 'code',
        'content')
end

local r = read()
if not r[1] then
    if create ~= '1' then return {'missing'} end
    if tonumber(dueIn) > 0 then return {'keep'} end
    born(id, facts, submitted, overdueIn, size, attempts, content)
    r = read()
end
if r[8] and r[8] ~= content then return {'used'} end
if not r[2] then return {incomplete(id) and 'keep' or 'done'} end -- it is final
if r[2] ~= CARRIED then return {'done'} end -- Redis has all of it: this message is a copy
local deliveries = tonumber(r[6]) or 0
if r[3] ~= 'PROCESSING' then
    redis.call('ZREM', carried, id)
    deliveries = deliveries + 1
elseif r[4] ~= token then
    if tonumber(redis.call('ZSCORE', lent, id) or '0') > now or graceUntil(lease) > now then return {'keep'} end
    deliveries = deliveries + 1
end
redis.call('HSET', key, 'status', 'PROCESSING', 'token', token, 'updated', nowMicros(), 'deliveries', deliveries)
redis.call('HDEL', key, 'unsent')
redis.call('ZADD', lent, now + tonumber(lease), id)
return {'go', 'facts', r[1], 'attempts', r[5] or '0', 'deliveries', deliveries, 'answered', r[7] and 1 or 0}
