-- End our turn to load an answer, and store what was loaded before anybody can see that the turn has ended.
--
-- KEYS  1 the turn's key   2 the entry's key
-- ARGV  1 ours, as it was taken   2 the entry, "" for none   3 how long that is kept, in ms
-- Returns what SET did, an error too: a full Redis must not make others wait for nothing.

local stored = false
if ARGV[2] ~= '' then stored = redis.pcall('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) end
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('UNLINK', KEYS[1]) end
return stored
