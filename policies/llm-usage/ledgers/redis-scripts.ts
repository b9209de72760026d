import { otherName } from '../grouped-sums.ts';

/** The largest tolerated error in a gateway's idea of Redis's clock; longer than a reply takes. */
export const toleranceMs = 5000;

const timeNow = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

// KEYS: this gateway's key, the index of days, then one key for each day of the batch.
// ARGV: the gateway's estimate of Redis's time, sequence, oldest day, today, maximum of groups,
// TTL of the index in ms, number of days, then a day and its TTL in ms for each of them, then the
// lines: index of the day, group name, 1 if one of its requests cost something, number of sums,
// name and value of each sum.
// A day's hash maps groups to numbers ("group:NAME"), counts them ("groups") and holds their sums
// ("NUMBER:SUM"). A "…_pico" sum stays below a dollar and "…_usd" has the whole dollars, so that
// neither overflows.
// Returns 1 if the lines are counted (by this call or an earlier one), and the time.
export const addScript = `${timeNow}
-- A gateway with a wrong clock names wrong days, both to count in and to delete.
if math.abs(now - ARGV[1]) > ${toleranceMs} then return {0, now} end

-- Another program can write here too: replace any key of another type.
for i = 1, #KEYS do
  local type = redis.call('TYPE', KEYS[i]).ok
  if type ~= 'hash' and type ~= 'none' then redis.call('DEL', KEYS[i]) end
end
local function whole(text) return text and #text <= 15 and text:find('^%d+$') and tonumber(text) end
local function groupsIn(key)
  local count = redis.call('HGET', key, 'groups')
  if not count then return 0 end
  if not whole(count) then
    -- An upper bound: each group has at least one field.
    count = redis.call('HLEN', key)
    redis.call('HSET', key, 'groups', count)
  end
  return tonumber(count)
end
local function add(key, field, value)
  local sum = redis.pcall('HINCRBY', key, field, value)
  if type(sum) == 'number' then return sum end
  -- A sum that would overflow stays as it is; a value that is not a number starts again.
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

-- Redis may refuse the idempotent writes below, so they come before anything is counted. The write
-- that a full Redis refuses comes first: after a first write, Redis lets a script go on.
local known = redis.call('HGETALL', KEYS[2])
local counts = {}
for i = 1, #known, 2 do
  -- A future day dates from a time when Redis's clock was ahead; its groups take no room from others.
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
-- Outlives any Redis outage during which a batch whose reply was lost waits for its retry.
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

// KEYS: the index of days. Returns the time and all indexed days.
export const daysScript = `${timeNow}
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return {now, {}} end
return {now, redis.call('HKEYS', KEYS[1])}`;
