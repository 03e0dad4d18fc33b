-- What wrk sends: a request for each line of $TOKENS in turn, made once before the run so that sending costs little.
-- $METHOD, $TARGET and $BODY say what; %n in $BODY is a running number.
local requests, count, at = {}, 0, 0
local method, target, body = os.getenv("METHOD") or "GET", os.getenv("TARGET"), os.getenv("BODY")
local numbered = body and body:find("%%n")

local function headers(token)
  local all = { ["Authorization"] = "Bearer " .. token }
  -- The reference gets the same request as patd, except for the path.
  if target == "/check" or target:find("^/api/authz/") then
    all["X-Original-URI"] = "/calls/1"
    all["X-Original-Method"] = "GET"
  end
  if body then all["Content-Type"] = os.getenv("TYPE") or "application/json" end
  return all
end

function init()
  for line in io.lines(os.getenv("TOKENS")) do
    count = count + 1
    requests[count] = numbered and headers(line) or wrk.format(method, target, headers(line), body)
  end
end

function request()
  at = at + 1
  local found = requests[(at - 1) % count + 1]
  if numbered then return wrk.format(method, target, found, (body:gsub("%%n", at))) end
  return found
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("MEASURED %d %d %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), e.status, e.connect + e.read + e.write + e.timeout))
end
