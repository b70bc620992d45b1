-- rehearse runs each command once that scripts use, on a key of its own, so that Open fails for a user without the
-- permission. It also runs when memory is full.
local key = shard .. ':rehearsal'

-- call names the command that is refused: Redis 7.0 does not.
local function call(command, ...)
    local answer = redis.pcall(command, ...)
    if type(answer) == 'table' and answer.err then
        error({err = answer.err .. ' (command ' .. command .. ')'})
    end
    return answer
end

local function fresh(...)
    call('DEL', key)
    return call(...)
end

fresh('HSET', key, 'a', '1')
call('HGET', key, 'a')
call('HMGET', key, 'a')
call('EXISTS', key)
call('PEXPIRE', key, 1000)
call('PEXPIREAT', key, now + 1000)
call('PTTL', key)
call('HDEL', key, 'a')

fresh('GET', key)
fresh('SADD', key, 'a')
call('SMEMBERS', key)
call('SREM', key, 'a')
fresh('LPUSH', key, 'a')

fresh('ZADD', key, 1, 'a')
call('ZCARD', key)
call('ZSCORE', key, 'a')
call('ZRANGE', key, 0, 0)
call('ZRANGEBYSCORE', key, 0, 1)
call('ZREVRANGEBYSCORE', key, 1, 0)
call('ZREM', key, 'a')

local entry = fresh('XADD', key, '*', 'a', '1')
call('XLEN', key)
call('XRANGE', key, '-', '+')
call('XGROUP', 'CREATE', key, GROUP, '0')
call('XINFO', 'GROUPS', key)
call('XREADGROUP', 'GROUP', GROUP, 'a', 'STREAMS', key, '>')
call('XINFO', 'CONSUMERS', key, GROUP)
call('XAUTOCLAIM', key, GROUP, 'a', 0, '0')
call('XCLAIM', key, GROUP, 'a', 0, entry, 'JUSTID')
call('XACK', key, GROUP, entry)
call('XDEL', key, entry)
call('XGROUP', 'DELCONSUMER', key, GROUP, 'a')

call('DEL', key)
call('SPUBLISH', shard .. ':final', '')
return {'allowed', 'now', now}
