-- For wrk: asks for each of `count` services in turn, with a path that its last rule matches.
local requests, next_one = {}, 0

function init(args)
   local count, port, last_rule = tonumber(args[1]), args[2], args[3]
   for i = 0, count - 1 do
      local headers = { ["Host"] = "s" .. i .. ".test:" .. port }
      requests[#requests + 1] = wrk.format("GET", "/r" .. last_rule .. "/hello", headers)
   end
end

function request()
   next_one = next_one % #requests + 1
   return requests[next_one]
end
