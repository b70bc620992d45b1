-- remove removes all that is kept under an id, because another store has it.
--   key           the idempotency key, or empty
local id, key = unpack(ARGV, 1, NAMED)

local r = redis.call('HMGET', recordKey(id), 'status', 'queue', 'entry')
if r[2] then dequeue(id, r[2], r[3] or '', r[1]) end
for _, set in ipairs({due, returned, leases, deadlines, carried, lent, dead}) do redis.call('ZREM', set, id) end
local removed = redis.call('DEL', recordKey(id), letterKey(id))
local keyName = shard .. ':k:' .. key
if key ~= '' and redis.call('HGET', keyName, 'id') == id then removed = removed + redis.call('DEL', keyName) end
return {removed > 0 and 'removed' or 'missing'}
