-- Sends debits with wrk, each with a new key, or looks at balances; prints one line of JSON.
-- Arguments: keys' beginning, token, tenants, debits in a request (0: looks), amount, milliseconds
-- to wait between two requests of a connection (0: none), "statuses" to count them or "" not to.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  beginning, tenants, batch, amount = args[1], tonumber(args[3]), tonumber(args[4]), args[5]
  local path = batch > 1 and "/v1/debits/batch" or "/v1/debits"
  local usual = " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port ..
    "\r\nAuthorization: Bearer " .. args[2] .. "\r\n"
  head = "POST " .. path .. usual .. "Content-Type: application/json\r\n"
  look = "GET /v1/tenants/tenant-%04d/balances/EUR" .. usual .. "\r\n"
  number = 0
  statuses = {}
  math.randomseed(tonumber(beginning:sub(-6), 16))
  local pause = tonumber(args[6])
  if pause > 0 then
    delay = function() return pause end
  end
  -- Left out where nobody asks, because wrk then need not bring the answers into Lua.
  if args[7] == "statuses" then
    response = function(status) statuses["" .. status] = (statuses["" .. status] or 0) + 1 end
  end
end

local function key()
  number = number + 1
  return string.format("%s-%09d", beginning, number)
end

local function debit(more)
  return string.format(
    '{"tenant_id":"tenant-%04d","amount":%s,"currency":"EUR","purpose":"plan_renewal"%s}',
    math.random(tenants), amount, more)
end

local function batched()
  local debits = {}
  for n = 1, batch do
    debits[n] = debit(',"idempotency_key":"' .. key() .. '"')
  end
  return '{"debits":[' .. table.concat(debits, ",") .. "]}"
end

function request()
  if batch == 0 then
    return string.format(look, math.random(tenants))
  end
  local keyed, body = "", ""
  if batch > 1 then
    body = batched()
  else
    keyed, body = "Idempotency-Key: " .. key() .. "\r\n", debit("")
  end
  return head .. keyed .. "Content-Length: " .. #body .. "\r\n\r\n" .. body
end

function done(summary, latency, requests)
  local counted = {}
  for _, thread in ipairs(threads) do
    for status, count in pairs(thread:get("statuses")) do
      table.insert(counted, string.format('"%s":%d', status, count))
    end
  end
  local errors = summary.errors
  print(string.format(
    '{"requests":%d,"duration_us":%d,"refused":%d,"lost":%d,' ..
      '"p50_us":%.0f,"p99_us":%.0f,"longest_us":%.0f,"statuses":{%s}}',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max, table.concat(counted, ",")))
end
