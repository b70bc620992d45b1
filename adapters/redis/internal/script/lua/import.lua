-- import saves all that another store had under an id, unless something is there. After the named arguments come the
-- fields and values of the record, of the dead letter and of the idempotency key.
--   create        1: save it; 0: look only whether it is there
--   facts         of the record or the dead letter; empty: there is neither, but an idempotency key
--   waits         1: the request is not final, and waits in a queue
--   queue         see the prelude
--   message       what other programs read, when the request is for them
--   dueIn         milliseconds; 0 is now. dueMicros is that moment in microseconds, for the record
--   overdueIn     milliseconds until the check whether it is too late
--   lifetime      of a final record, in milliseconds; those of the dead letter and the key follow
--   failed        the millisecond when the dead letter was made
--   key           the idempotency key, or empty
--   fields        how many arguments the record has, and then the dead letter; the rest is of the key
local id, create, facts, waits, queue, size, message, dueIn, dueMicros, overdueIn, lifetime, letterLifetime, keyLifetime,
    failed, key, fields, letterFields = unpack(ARGV, 1, NAMED)
fields, letterFields = tonumber(fields), tonumber(letterFields)

local record, letter, keyName = recordKey(id), letterKey(id), shard .. ':k:' .. key
local there = redis.call('HGET', record, 'facts') or redis.call('HGET', letter, 'facts')
if there and facts ~= '' then return {there == facts and 'same' or 'conflict'} end
local holder = key ~= '' and redis.call('HGET', keyName, 'id')
if facts == '' and holder then return {holder == id and 'same' or 'conflict'} end
if create ~= '1' then return {'missing'} end
if holder and holder ~= id then return {'conflict'} end

local function save(hash, from, count, expires)
    if count == 0 then return end
    redis.call('HSET', hash, unpack(ARGV, from + 1, from + count))
    if expires then redis.call('PEXPIRE', hash, expires) end
end
save(record, NAMED, fields, waits ~= '1' and lifetime)
save(letter, NAMED + fields, letterFields, letterLifetime)
save(keyName, NAMED + fields + letterFields, #ARGV - NAMED - fields - letterFields, keyLifetime)
if letterFields > 0 then redis.call('ZADD', dead, failed, id) end
if waits == '1' then
    local entry, nextAttempt = enqueue(id, queue, size, dueIn, dueMicros, message)
    redis.call('HSET', record, 'queue', queue, 'size', size, 'entry', entry, 'next', nextAttempt)
    if key ~= '' then redis.call('HSET', record, 'key', key) end
    redis.call('ZADD', deadlines, now + overdueIn, id)
end
return {'new'}
