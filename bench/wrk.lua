-- Sends the requests of a file, one after the other, again and again; says in one line what became of it.
--
-- A line of the file is a path, and then name and value of each header, with tabs between. In a path {n} stands for
-- a number that no other request has, made from the second argument.

local lines, unique, sent, seed = {}, false, 0, ''

function init(args)
  seed = args[2]
  for line in io.lines(args[1]) do
    local words = {}
    for word in string.gmatch(line, '[^\t]+') do words[#words + 1] = word end
    local headers = {}
    for i = 2, #words - 1, 2 do headers[words[i]] = words[i + 1] end
    local path = words[1]
    unique = unique or string.find(path, '{n}', 1, true) ~= nil
    lines[#lines + 1] = {path = path, headers = headers, wire = wrk.format('GET', path, headers)}
  end
end

function request()
  sent = sent + 1
  local line = lines[(sent - 1) % #lines + 1]
  if not unique then return line.wire end
  return wrk.format('GET', (string.gsub(line.path, '{n}', seed .. string.format('%07d', sent))), line.headers)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "bytes": %d, "errors": %d, "p50": %d, "p99": %d, "p999": %d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
