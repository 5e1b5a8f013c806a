-- Give the generation a lease that ends at an absolute moment of Redis' clock.
--
-- KEYS  1 the generation key   2 the key of the namespaces that the lease is for
-- ARGV  1 T0: Redis' time, in µs, when the listener began to prove that it has heard of every earlier commit
--       2 how long ago that was by the listener's own clock, in µs
--       3 the lease's length from T0, in ms
--       4 floor: the highest generation that the listener has seen
--       5 channel of the changes   6 the database's number   7 the server that the listener has talked to: its run_id and
--       master_replid as INFO shows them, with a blank between; "" for any
--       8 the namespaces whose every change the listener hears of, with blanks between
-- Returns {outcome, generation, TTL in ms}; outcome is "renewed", "made" (a new generation, everything changed),
-- "late" (T0 is too long ago for a lease), "clock" (this clock is not the one that T0 was read from) or "server" (this
-- is another server, was started anew, or was a replica in between: it may have lost bumps, and others made above them
-- hide that).

local LIMIT = 9007199254740992 -- 2^53
local SLACK = 2000 -- µs by which two clocks may differ over a lease

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local t0, age, lease, floor = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

if ARGV[7] ~= '' then
  local server, replication = redis.pcall('INFO', 'server'), redis.pcall('INFO', 'replication')
  local info = type(server) == 'string' and type(replication) == 'string' and server .. replication
  for field in string.gmatch(ARGV[7], '%S+') do
    if info and not string.find(info, field, 1, true) then return {'server', ARGV[4], 0} end
  end
end
if now - t0 < age - SLACK then return {'clock', ARGV[4], 0} end
local ends = math.floor(t0 / 1000) + lease
local ttl = ends - math.ceil(now / 1000)
if ttl <= 0 then return {'late', ARGV[4], 0} end

local value = redis.pcall('GET', KEYS[1])
local generation = 0
if type(value) == 'string' and string.match(value, '^%d+$') then generation = tonumber(value) end

local outcome = 'renewed'
if generation == 0 or generation >= LIMIT or generation < floor then
  generation = math.max(floor, now) + 1
  if generation >= LIMIT then return redis.error_reply('ERR the generations are used up') end
  redis.call('SET', KEYS[1], string.format('%.0f', generation))
  redis.call('PUBLISH', ARGV[5], string.format(
    '{"previous":0,"generation":%.0f,"changes":[[null,"lease",0]],"made_at_us":%.0f,"database":%d,"acknowledge":false}',
    generation, now, ARGV[6]))
  outcome = 'made'
end
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', ends))
redis.call('SET', KEYS[2], ARGV[8])
redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', ends))
return {outcome, string.format('%.0f', generation), ttl}
