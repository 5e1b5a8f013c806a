-- Take the turn to load an answer for all processes, unless another process has it.
--
-- KEYS  1 the turn's key
-- ARGV  1 ours: our stamp, a blank and a token   2 how long it lasts, in ms
--       3 the one that we take over, as it was returned before; "" for none
-- Returns false where the turn is ours now, and else whose it is.

local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[3] then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
