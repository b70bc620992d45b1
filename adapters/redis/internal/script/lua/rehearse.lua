-- rehearse runs each command once that scripts use, on a key of its own, so that Open fails for a user without the
-- permission. It also runs when memory is full.
local key = shard .. ':rehearsal'
local function fresh(...)
    redis.call('DEL', key)
    return redis.call(...)
end

fresh('HSET', key, 'a', '1')
redis.call('HGET', key, 'a')
redis.call('HMGET', key, 'a')
redis.call('EXISTS', key)
redis.call('PEXPIRE', key, 1000)
redis.call('PEXPIREAT', key, now + 1000)
redis.call('PTTL', key)
redis.call('HDEL', key, 'a')

fresh('GET', key)
fresh('SADD', key, 'a')
redis.call('SMEMBERS', key)
redis.call('SREM', key, 'a')
fresh('LPUSH', key, 'a')

fresh('ZADD', key, 1, 'a')
redis.call('ZCARD', key)
redis.call('ZSCORE', key, 'a')
redis.call('ZRANGE', key, 0, 0)
redis.call('ZRANGEBYSCORE', key, 0, 1)
redis.call('ZREVRANGEBYSCORE', key, 1, 0)
redis.call('ZREM', key, 'a')

local entry = fresh('XADD', key, '*', 'a', '1')
redis.call('XLEN', key)
redis.call('XRANGE', key, '-', '+')
redis.call('XGROUP', 'CREATE', key, GROUP, '0')
redis.call('XINFO', 'GROUPS', key)
redis.call('XREADGROUP', 'GROUP', GROUP, 'a', 'STREAMS', key, '>')
redis.call('XINFO', 'CONSUMERS', key, GROUP)
redis.call('XAUTOCLAIM', key, GROUP, 'a', 0, '0')
redis.call('XCLAIM', key, GROUP, 'a', 0, entry, 'JUSTID')
redis.call('XACK', key, GROUP, entry)
redis.call('XDEL', key, entry)
redis.call('XGROUP', 'DELCONSUMER', key, GROUP, 'a')

redis.call('DEL', key)
redis.call('SPUBLISH', shard .. ':final', '')
return {'allowed'}
