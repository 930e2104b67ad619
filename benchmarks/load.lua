-- wrk's script: single texts from a file, one after another, each request another one.
local bodies, at = {}, 0
for line in io.lines(os.getenv("KICKBERT_BODIES")) do bodies[#bodies + 1] = line end
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
function init(args) math.randomseed(tonumber(args[1] or "1")); at = math.random(#bodies) end
function request()
  at = at % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end
