-- What wrk runs: the bodies of $BENCH_BODIES, one a line, in turn to $BENCH_PATH; at the end one line of JSON.
local requests, turn = {}, 0

function init(args)
  local headers = { ["Content-Type"] = "application/json" }
  for line in io.lines(os.getenv("BENCH_BODIES")) do
    requests[#requests + 1] = wrk.format("POST", os.getenv("BENCH_PATH"), headers, line)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\n{"requests": %d, "seconds": %f, "errors": %d}\n', summary.requests,
    summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout))
end
