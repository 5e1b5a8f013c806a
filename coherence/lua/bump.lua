-- Make a new generation, and tell every cache what changed between it and the one before.
--
-- KEYS  1 the generation key
-- ARGV  1 floor: the highest generation that the caller has seen
--       2 channel of the changes   3 channel of those who acknowledge
--       4 the changes, as JSON     5 the database's number   6 "true" to ask for acknowledgements
--       7 the trace context that the bump is made in; "" for none
-- Returns {previous, generation, number of caches that acknowledge, Redis' time in µs}, as strings where they are large.
-- previous is 0 where there was no generation, or one below the floor: then Redis has lost bumps, and what changed in
-- them with them. Nobody must take this one for the next of its own, and a renewal finds nothing to mend any more.
--
-- The key keeps its TTL: only a renewal gives a lease. A key that is missing, or no generation, stays what it is.

local LIMIT = 9007199254740992 -- 2^53

local function current()
  local value = redis.pcall('GET', KEYS[1])
  if type(value) ~= 'string' or not string.match(value, '^%d+$') then return 0 end
  local number = tonumber(value)
  return number < LIMIT and number or 0
end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local previous = current()
local generation = math.max(previous, tonumber(ARGV[1]), now) + 1
if generation >= LIMIT then return redis.error_reply('ERR the generations are used up') end

if previous > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', generation), 'KEEPTTL')
end
if previous < tonumber(ARGV[1]) then previous = 0 end
local trace = ARGV[7] ~= '' and ',"trace":"' .. ARGV[7] .. '"' or ''
local acknowledgers = redis.call('PUBSUB', 'NUMSUB', ARGV[3])[2]
redis.call('PUBLISH', ARGV[2], string.format(
  '{"previous":%.0f,"generation":%.0f,"changes":%s,"made_at_us":%.0f,"database":%d,"acknowledge":%s%s}',
  previous, generation, ARGV[4], now, ARGV[5], ARGV[6], trace))
return {string.format('%.0f', previous), string.format('%.0f', generation), acknowledgers, string.format('%.0f', now)}
