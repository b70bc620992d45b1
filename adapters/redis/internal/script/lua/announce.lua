-- announce notes that a process uses the queue, and forgets the names of processes that ended long ago. It returns what
-- the queue has to do with a move. It runs when memory is full, too: otherwise all processes would seem to be gone.
--   name
--   forgotten     milliseconds after which a name is forgotten
local name, forgotten = unpack(ARGV, 1, NAMED)

redis.call('ZADD', processes, now, name)
for _, old in ipairs(redis.call('ZRANGEBYSCORE', processes, '-inf', now - forgotten, 'LIMIT', 0, 100)) do
    redis.call('ZREM', processes, old)
end
return {'noted', 'move', redis.call('GET', shard .. ':move') or ''}
