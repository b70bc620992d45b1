-- result saves what a consumer that is not ours made of a request, whatever became of it until now, unless it is final.
local id, status, updated = ARGV[1], ARGV[2], ARGV[3]
local reason, problem, took = ARGV[4], ARGV[5], ARGV[6]
local code, response, answered = ARGV[7], ARGV[8], ARGV[9]
local lifetime, letterLifetime = ARGV[10], ARGV[11]

local r = redis.call('HMGET', recordKey(id), 'status', 'queue', 'entry', 'attempts')
if not r[1] then return {'missing'} end
if not r[2] then return {'same'} end -- the first final result wins
dequeue(id, r[2], r[3], r[1])
if code ~= '' then redis.call('HSET', recordKey(id), 'code', code, 'response', response, 'answered', answered) end
conclude(id, status, updated, r[4] or '0', reason, problem, took, lifetime, letterLifetime)
return {'ended', state(id)}
