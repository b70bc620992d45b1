-- tidy removes the consumers of a stream, which here is KEYS[1], that hold nothing and were not seen for a while. One
-- that comes back is made again.
--   unseen        milliseconds
local unseen = unpack(ARGV, 1, NAMED)

for _, consumer in ipairs(redis.pcall('XINFO', 'CONSUMERS', KEYS[1], GROUP)) do
    local found = {}
    for i = 1, #consumer, 2 do found[consumer[i]] = consumer[i + 1] end
    if found['pending'] == 0 and found['idle'] >= tonumber(unseen) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], GROUP, found['name'])
    end
end
return {'tidied'}
