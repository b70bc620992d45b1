-- read hands entries of a stream, which KEYS[1] is here, to a consumer: at most so many, and no more of them once they
-- have so many bytes. These are new ones, or those that others have held for so long, in milliseconds.
local consumer, count, bytes, held = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]

-- Each of these gives a list of the next entry or none, or an error, and whether there is nothing after it.
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

local next = held == '' and unread or abandoned
local out, size = {}, 0
for _ = 1, count do
    local entries, last = next()
    if entries.err then return entries end
    for _, entry in ipairs(entries) do
        out[#out + 1] = entry
        for _, text in ipairs(entry[2]) do size = size + #text end
    end
    if last or size >= bytes then break end
end
return out
