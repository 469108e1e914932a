-- For wrk: each request is one of the presigned events of a file, in order; the threads take turns, so none is sent twice in a run.
local threads = {}

function setup(thread)
  thread:set("number", #threads)
  threads[#threads + 1] = thread
end

function init(arguments)
  local file, count = arguments[1], tonumber(arguments[2])
  local from = arguments[3] and tonumber(arguments[3]) or 0
  requests, position = {}, 0
  local line_number = 0
  for line in io.lines(file) do
    line_number = line_number + 1
    if line_number > from and (line_number % count) == (number % count) then
      local timestamp, signature, body = line:match("^(%S+) (%S+) (.*)$")
      requests[#requests + 1] = wrk.format("POST", "/events/slack", {
        ["Content-Type"] = "application/json",
        ["X-Slack-Request-Timestamp"] = timestamp,
        ["X-Slack-Signature"] = signature,
      }, body)
    end
  end
end

function request()
  position = position + 1
  if position > #requests then wrk.thread:stop() end
  return requests[position] or requests[#requests]
end

function done(summary, latency, _)
  io.write(string.format("RESULT %d %d %d %d %.1f %.1f %.1f %.1f\n", summary.requests, summary.duration,
    summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency.mean, latency:percentile(50), latency:percentile(99), latency.max))
end
