-- What Redis tells about streams.

-- fields makes a table of a list of names and values.
local function fields(list)
    local found = {}
    for i = 1, #list, 2 do found[list[i]] = list[i + 1] end
    return found
end

-- lastDelivered tells where a stream's unread entries begin; nil when its group is gone.
local function lastDelivered(stream)
    for _, group in ipairs(redis.pcall('XINFO', 'GROUPS', stream)) do
        local found = fields(group)
        if found['name'] == GROUP then return found['last-delivered-id'] end
    end
end
