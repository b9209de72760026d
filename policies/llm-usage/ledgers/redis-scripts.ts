import { otherName } from '../grouped-sums.ts';

/** How far a gateway may be wrong about Redis's clock: more than its answer takes. */
export const toleranceMs = 5000;

const timeNow = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

// KEYS: this gateway, the days, then each day of the batch.
// ARGV: what the gateway takes for Redis's time, sequence, oldest day, today, groups in all,
// milliseconds that the days live, number of days, a day and the milliseconds it lives for each of
// them, then the lines: which of the days, name, 1 where a request of it cost something, number of
// sums, name and value of each.
// A day has its groups ("group:NAME" is a number, "groups" their count) and their sums ("NUMBER:SUM").
// A sum "…_pico" is below a dollar; whole ones are in "…_usd", so that none comes to an end.
// Returns 1 when the lines are counted, by this call or by one before, and the time.
export const addScript = `${timeNow}
-- Of a gateway that goes by another clock no day is right, neither to count in nor to throw out.
if math.abs(now - ARGV[1]) > ${toleranceMs} then return {0, now} end

-- Others can write here too: what is not ours gives way.
for i = 1, #KEYS do
  local type = redis.call('TYPE', KEYS[i]).ok
  if type ~= 'hash' and type ~= 'none' then redis.call('DEL', KEYS[i]) end
end
local function whole(text) return text and #text <= 15 and text:find('^%d+$') and tonumber(text) end
local function groupsIn(key)
  local count = redis.call('HGET', key, 'groups')
  if not count then return 0 end
  if not whole(count) then
    -- At least as many, for each has a field.
    count = redis.call('HLEN', key)
    redis.call('HSET', key, 'groups', count)
  end
  return tonumber(count)
end
local function add(key, field, value)
  local sum = redis.pcall('HINCRBY', key, field, value)
  if type(sum) == 'number' then return sum end
  -- A sum that is full stays as it is; one that is no number begins anew.
  local text = redis.call('HGET', key, field)
  if text and not whole(text:sub(1, 15)) then redis.call('HSET', key, field, value) end
  return 0
end

local last = whole(redis.call('HGET', KEYS[1], 'sequence') or '0')
if not last then
  redis.call('HDEL', KEYS[1], 'sequence')
  last = 0
end
local sequence = tonumber(ARGV[2])
if sequence <= last then return {1, now} end

-- What can be refused and does no harm twice comes before anything is counted, and first what
-- a full Redis refuses, for it lets a script go on that has written.
local known = redis.call('HGETALL', KEYS[2])
local counts = {}
for i = 1, #known, 2 do
  -- A day to come is of a time when Redis's clock was ahead; its groups are in no other group's way.
  if known[i] >= ARGV[3] and known[i] <= ARGV[4] then counts[known[i]] = whole(known[i + 1]) or 0 end
end
local days = tonumber(ARGV[7])
for i = 1, days do
  local day = ARGV[6 + 2 * i]
  counts[day] = groupsIn(KEYS[2 + i])
  redis.call('HSET', KEYS[2], day, counts[day])
end
for i = 1, #known, 2 do
  if known[i] < ARGV[3] then redis.call('HDEL', KEYS[2], known[i]) end
end
redis.call('PEXPIRE', KEYS[2], ARGV[6])
local inUse = 0
for _, count in pairs(counts) do inUse = inUse + count end

redis.call('HINCRBY', KEYS[1], 'sequence', sequence - last)
-- Longer than Redis is away while a batch waits whose answer was lost.
redis.call('PEXPIRE', KEYS[1], 604800000)
local at = 8 + 2 * days
while at <= #ARGV do
  local key, name, paid, sums = KEYS[2 + ARGV[at]], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local id = '0'
  if name ~= '${otherName}' then
    id = redis.call('HGET', key, 'group:' .. name)
    local room = tonumber(ARGV[5])
    if paid == '0' then room = room / 2 end
    if not id and inUse < room then
      inUse = inUse + 1
      id = tostring(redis.call('HINCRBY', key, 'groups', 1))
      redis.call('HSET', key, 'group:' .. name, id)
    end
    id = id or '0'
  end
  for i = at + 4, at + 2 + 2 * sums, 2 do
    local field = id .. ':' .. ARGV[i]
    local sum = add(key, field, ARGV[i + 1])
    if field:sub(-5) == '_pico' and sum >= 1e12 then
      local dollars = math.floor(sum / 1e12)
      redis.call('HINCRBY', key, field, string.format('%.0f', -1e12 * dollars))
      add(key, field:sub(1, -6) .. '_usd', string.format('%.0f', dollars))
    end
  end
  at = at + 4 + 2 * sums
end
for i = 1, days do
  redis.call('HSET', KEYS[2], ARGV[6 + 2 * i], groupsIn(KEYS[2 + i]))
  redis.call('PEXPIRE', KEYS[2 + i], ARGV[7 + 2 * i])
end
return {1, now}`;

// KEYS: the days. Returns the time, and the days that there are.
export const daysScript = `${timeNow}
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return {now, {}} end
return {now, redis.call('HKEYS', KEYS[1])}`;
