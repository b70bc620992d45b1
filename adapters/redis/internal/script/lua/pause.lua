-- pause notes that a backend is not to be called for so long. A pause that ends later stays. What is over is forgotten.
--   backend
--   length        milliseconds
local backend, length = unpack(ARGV, 1, NAMED)

for _, over in ipairs(redis.call('ZRANGEBYSCORE', pauses, '-inf', now)) do redis.call('ZREM', pauses, over) end
local ends = now + tonumber(length)
if ends > tonumber(redis.call('ZSCORE', pauses, backend) or '0') then redis.call('ZADD', pauses, ends, backend) end
local last = redis.call('ZRANGE', pauses, -1, -1, 'WITHSCORES')
redis.call('PEXPIRE', pauses, math.max(tonumber(last[2]) - now, 1))
return {'noted'}
