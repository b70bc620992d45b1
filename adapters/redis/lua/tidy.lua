-- tidy removes the consumers of a stream, which KEYS[1] is here, that hold nothing and have not been seen for so long,
-- in milliseconds. One that comes back is made anew.
local unseen = tonumber(ARGV[1])
local removed = 0
for _, consumer in ipairs(redis.pcall('XINFO', 'CONSUMERS', KEYS[1], GROUP)) do
    local found = fields(consumer)
    if found['pending'] == 0 and found['idle'] >= unseen then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], GROUP, found['name'])
        removed = removed + 1
    end
end
return {removed}
