-- read delivers entries of a stream, which here is KEYS[1], to a consumer: new ones, or those that another consumer has
-- held for too long.
--   count         at most so many entries
--   bytes         no more entries once they have so many
--   held          milliseconds, of those that another consumer holds; empty: new entries
local consumer, count, bytes, held = unpack(ARGV, 1, NAMED)
count, bytes = tonumber(count), tonumber(bytes)

-- Both return a list of the next entry or of none, or an error, and whether nothing comes after it.
local function unread()
    local streams = redis.pcall('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', 1, 'STREAMS', KEYS[1], '>')
    if not streams then return {}, true end
    if streams.err then return streams end
    return streams[1][2], false
end
local cursor = '0-0'
local function abandoned()
    local found = redis.pcall('XAUTOCLAIM', KEYS[1], GROUP, consumer, held, cursor, 'COUNT', 1)
    if found.err then return found end
    cursor = found[1]
    return found[2], cursor == '0-0'
end

local following = held == '' and unread or abandoned
local out, size = {}, 0
for _ = 1, count do
    local entries, last = following()
    if entries.err then return entries end
    for _, entry in ipairs(entries) do
        out[#out + 1] = entry
        for _, text in ipairs(entry[2]) do size = size + #text end
    end
    if last or size >= bytes then break end
end
return {'read', 'entries', {{'place', 'values'}, out}}
