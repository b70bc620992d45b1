-- depths counts, and finds the oldest ready request.
--   handover      1: other programs read ready requests from the plain stream
local handover = unpack(ARGV, 1, NAMED)

-- readySince returns the millisecond since when the first unread entry of a stream is ready.
local function readySince(stream)
    local last = redis.call('XLEN', stream) > 0 and lastDelivered(stream)
    if not last then return nil end
    local unread = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 1)
    return unread[1] and tonumber(string.match(unread[1][1], '^%d+'))
end

local oldest = 0
if handover == '1' then
    local first = redis.call('XRANGE', streamKey(''), '-', '+', 'COUNT', 1)
    if first[1] then oldest = tonumber(string.match(first[1][1], '^%d+')) end
end
for _, endpoint in ipairs(redis.call('SMEMBERS', endpointSet)) do
    for _, lane in ipairs({'high:', 'low:'}) do
        local since = readySince(streamKey(lane .. endpoint))
        if since and (oldest == 0 or since < oldest) then oldest = since end
    end
end

for _, set in ipairs({returned, carried}) do
    local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
    if first[2] and (oldest == 0 or tonumber(first[2]) < oldest) then oldest = tonumber(first[2]) end
end

local delayed, begun = redis.call('ZCARD', due), redis.call('ZCARD', leases) + redis.call('ZCARD', lent)
return {'counted', 'ready', redis.call('ZCARD', deadlines) - delayed - begun, 'delayed', delayed, 'leased', begun,
    'deadLetters', redis.call('ZCARD', dead), 'oldest', oldest,
    'carried', redis.call('ZCARD', carried) + redis.call('ZCARD', lent)}
