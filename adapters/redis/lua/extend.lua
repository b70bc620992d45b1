-- extend makes leases longer, and tells for each whether the delivery is still its holder's.
local lease = tonumber(ARGV[1])
local held = {}
for i = 2, #ARGV, 2 do
    local id, token = ARGV[i], ARGV[i + 1]
    local r = redis.call('HMGET', recordKey(id), 'status', 'token')
    local ours = r[1] == 'PROCESSING' and r[2] == token
    if ours then
        redis.call('ZADD', leases, 'XX', now + lease, id)
        redis.call('ZADD', lent, 'XX', now + lease, id)
    end
    held[#held + 1] = ours and 1 or 0
end
return held
