-- extend makes leases longer, and reports for each whether the delivery still is its holder's. After the named
-- arguments come id and token of each.
local lease = unpack(ARGV, 1, NAMED)

local ends = now + tonumber(lease)
local held = {}
for i = NAMED + 1, #ARGV, 2 do
    local id, token = ARGV[i], ARGV[i + 1]
    local r = redis.call('HMGET', recordKey(id), 'status', 'token')
    local ours = r[1] == 'PROCESSING' and r[2] == token
    if ours then
        redis.call('ZADD', leases, 'XX', ends, id)
        redis.call('ZADD', lent, 'XX', ends, id)
    end
    held[#held + 1] = ours and 1 or 0
end
return {'extended', 'held', held}
