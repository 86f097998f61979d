-- Work for LuaJIT: each part gets hot, is compiled while it runs, and takes side exits that are compiled later.
-- Prints a checksum; the same on every machine (no table order, no time, no address goes into it).

local bit = require("bit")
local sum = 0
local function mix(x) sum = bit.bxor(bit.rol(sum, 5), bit.tobit(x)) end

local seed = 42
local function random(n) -- a linear congruential generator, exact in doubles
  seed = (seed * 16807) % 2147483647
  return seed % n + 1
end

local function sieve(limit)
  local composite, count = {}, 0
  for i = 2, limit do
    if not composite[i] then
      count = count + 1
      for j = i * i, limit, i do composite[j] = true end
    end
  end
  return count
end

local function sort(n)
  local t = {}
  for i = 1, n do t[i] = random(1000000) end
  table.sort(t, function(a, b) return a < b end)
  for i = 2, n do assert(t[i - 1] <= t[i]) end
  return t[math.floor(n / 2)]
end

local function words(n)
  local parts = {}
  for i = 1, n do parts[#parts + 1] = string.char(96 + random(26)) .. i % 17 end
  local text, hash = table.concat(parts, " "), 0
  for word in text:gmatch("%a%d+") do hash = (hash * 31 + #word + word:byte(1)) % 1000003 end
  return hash
end

local function bodies(steps)
  local x, v = { 1, 2, 4 }, { 0.3, -0.2, 0.1 }
  for _ = 1, steps do
    for i = 1, 3 do
      local force = 0
      for j = 1, 3 do
        if i ~= j then
          local d = x[j] - x[i]
          force = force + d / (math.abs(d) ^ 3 + 0.1)
        end
      end
      v[i] = v[i] + force * 0.001
    end
    for i = 1, 3 do x[i] = x[i] + v[i] * 0.001 end
  end
  return math.floor(x[1] * 1e6)
end

local Point = {}
Point.__index = Point
Point.__add = function(a, b) return setmetatable({ x = a.x + b.x, y = a.y - b.y }, Point) end
local function points(n)
  local p, step = setmetatable({ x = 0, y = 0 }, Point), setmetatable({ x = 3, y = 1 }, Point)
  for i = 1, n do
    p = p + step
    if i % 7 == 0 then p.x = p.x - 11 end
  end
  return p.x + p.y
end

-- functions made from text at run time: each is compiled to machine code of its own
local function generated(n)
  local total = 0
  for i = 1, n do
    local f = assert(loadstring(("local a = 0 for i = 1, 200 do a = a + i %% %d * %d end return a"):format(i + 2, i)))
    total = total + f()
  end
  return total
end

for round = 1, 2 do
  mix(sieve(5000))
  mix(sort(900))
  mix(words(700))
  mix(bodies(900))
  mix(points(9000))
  mix(generated(40 + round))
end
print(bit.tohex(sum))
