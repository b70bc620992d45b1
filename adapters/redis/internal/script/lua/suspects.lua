-- suspects reports whether requests that a carrier has have been waiting for longer than so long to be begun, or to be
-- begun again. Before is the millisecond that was so long ago.
--   age           milliseconds
local age = unpack(ARGV, 1, NAMED)

local before = now - tonumber(age)
local some = 0
for _, set in ipairs({carried, lent}) do
    local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
    if first[2] and tonumber(first[2]) < before then some = 1 end
end
return {'looked', 'before', before, 'some', some}
