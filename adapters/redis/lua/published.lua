-- published notes that the broker has the messages of requests, so that a repeat need not publish them again.
for _, id in ipairs(ARGV) do redis.call('HDEL', recordKey(id), 'unsent') end
return {'noted'}
