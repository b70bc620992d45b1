-- published notes that the carrier has the messages of requests, so that a repeat need not publish them again. The
-- arguments are the ids.
for _, id in ipairs(ARGV) do redis.call('HDEL', recordKey(id), 'unsent') end
return {'noted'}
