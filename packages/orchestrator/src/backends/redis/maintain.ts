/**
 * Looking after a queue: settings, counts, dead letters, cleaning. Every script works in bounded steps; what is longer is called again.
 * Invariant: what a step says it removed or moved is exactly what it did, even if its answer had to be asked for twice.
 */
import { ADVANCE_KEYS, ADVANCING, BAND, FACTS, MOVES, ONCE, RING, TIDY, TIME, defineScript } from './lua.js'

/**
 * KEYS: as named. ARGV: field, value, field, value, …; an empty value removes the field.
 * Answer: 1 if the registry does not know the queue, else 0.
 */
export const CONFIGURE = defineScript(
  'configure',
  ['meta', 'wake'],
  RING,
  `
redis.call('PERSIST', meta)
for i = 1, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', meta, ARGV[i]) else redis.call('HSET', meta, ARGV[i], ARGV[i + 1]) end
end
if not redis.call('HGET', meta, 'paused') then ring() end
return redis.call('HEXISTS', meta, 'known') == 1 and 0 or 1
`,
)

/**
 * KEYS: as named. ARGV: none.
 * Answer: ready, delayed, leased, dead, microseconds of the oldest (-1: none), paused, 1 if something due is left (call again).
 */
export const COUNTS = defineScript(
  'counts',
  [...ADVANCE_KEYS, 'wake'],
  ADVANCING,
  RING,
  `
local more = advance()
local oldest = math.huge
for level = -5, 4 do
  for _, line in ipairs({ ready, suspects }) do
    local low, high = string.format('%.0f', level * ${BAND}), string.format('(%.0f', (level + 1) * ${BAND})
    local first = redis.call('ZRANGEBYSCORE', line, low, high, 'WITHSCORES', 'LIMIT', 0, 1)
    if first[2] then oldest = math.min(oldest, first[2] % ${BAND}) end
  end
end
local waiting = redis.call('ZCARD', ready) + redis.call('ZCARD', suspects)
local paused = redis.call('HEXISTS', meta, 'paused')
if waiting > 0 and paused == 0 then ring() end
return {
  waiting,
  redis.call('ZCARD', delayed),
  math.max(0, redis.call('HLEN', held) - 1),
  redis.call('ZCARD', dead),
  oldest == math.huge and -1 or math.max(0, now - oldest),
  paused,
  more and 1 or 0,
}
`,
)

/**
 * KEYS: as named. ARGV: 1 number of the last death that was seen, 2 at most how many, 3 at most how many bytes.
 * Answer: packed id, death, id, death, …, bodies, states, 1 if there are more.
 */
export const BROWSE = defineScript(
  'browse',
  ['dead', 'bodies', 'state'],
  `
local limit = tonumber(ARGV[2])
local list = redis.call('ZRANGEBYSCORE', dead, '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, limit + 1)
local shown, found, texts, bytes, count = {}, {}, {}, 0, 0
while count < limit and list[2 * count + 1] and bytes < tonumber(ARGV[3]) do
  local id = list[2 * count + 1]
  count = count + 1
  shown[2 * count - 1], shown[2 * count] = id, list[2 * count]
  found[count] = redis.call('HGET', bodies, id) or ''
  texts[count] = redis.call('HGET', state, id) or '5 0 0 0 rejected 0 '
  bytes = bytes + #found[count]
end
return { cmsgpack.pack(shown), found, texts, list[2 * count + 1] and 1 or 0 }
`,
)

/**
 * KEYS: as named. ARGV: 1 number of the call, 2 `1` if repeated, 3 at most how many, 4 number of the last death that counts (empty: all
 * until now), 5 packed ids, or nothing.
 * Answer: how many, and the number for ARGV[4] of the next call.
 */
export const REDRIVE = defineScript(
  'redrive',
  ['meta', 'state', 'ready', 'suspects', 'dead', 'wake', 'once'],
  TIME,
  ONCE,
  RING,
  FACTS,
  MOVES,
  `
local before = answered()
if before then return before end
local last = ARGV[4]
if last == '' then
  local newest = redis.call('ZRANGE', dead, -1, -1, 'WITHSCORES')
  last = newest[2] or '0'
end
local limit, ids = tonumber(ARGV[3]), {}
if ARGV[5] then
  local found = {}
  for _, id in ipairs(cmsgpack.unpack(ARGV[5])) do
    local death = redis.call('ZSCORE', dead, id)
    if death then found[#found + 1] = { id, tonumber(death) } end
  end
  table.sort(found, function(a, b) return a[2] < b[2] end)
  for i = 1, math.min(limit, #found) do ids[i] = found[i][1] end
else
  ids = redis.call('ZRANGEBYSCORE', dead, '-inf', last, 'LIMIT', 0, limit)
end
for _, id in ipairs(ids) do
  redis.call('ZREM', dead, id)
  local priority, published = facts(redis.call('HGET', state, id), placeOf(5, now))
  note(id, priority, published, 0, 0)
  stand(id, placeOf(priority, draw()), 0)
end
saveSeq()
if #ids > 0 and not redis.call('HGET', meta, 'paused') then ring() end
local answer = #ids .. ' ' .. last
return #ids > 0 and remember(answer) or answer
`,
)

/**
 * KEYS: as named. ARGV: 1 number of the call, 2 `1` if repeated, 3 the line (`suspects`, `ready`, `delayed`, `dead`), 4 at most how many,
 * 5 only what was published so many milliseconds ago (or empty), 6 where to go on (empty: at the beginning), 7 packed ids, or nothing.
 * Answer: how many were removed, where to go on (`end`: nowhere).
 */
export const CLEAN = defineScript(
  'clean',
  [...ADVANCE_KEYS, 'bodies', 'wake', 'once'],
  ADVANCING,
  ONCE,
  TIDY,
  `
local before = answered()
if before then return before end
advance()
local line = ({ suspects = suspects, ready = ready, delayed = delayed, dead = dead })[ARGV[3]]
local limit, list, next_ = tonumber(ARGV[4]), {}, 'end'
if ARGV[7] then
  local found = {}
  for _, id in ipairs(cmsgpack.unpack(ARGV[7])) do
    local score = redis.call('ZSCORE', line, id)
    if score then found[#found + 1] = { id, score } end
  end
  table.sort(found, function(a, b) return tonumber(a[2]) < tonumber(b[2]) end)
  for _, pair in ipairs(found) do list[#list + 1] = pair[1]; list[#list + 1] = pair[2] end
else
  local from = ARGV[6] == '' and '-inf' or '(' .. ARGV[6]
  list = redis.call('ZRANGEBYSCORE', line, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1000)
  if #list == 2000 then next_ = list[2000] end
end
local chosen, youngest = {}, ARGV[5] ~= '' and (clock[1] * 1000 + clock[2] / 1000 - tonumber(ARGV[5]))
for i = 1, #list, 2 do
  if #chosen == limit then break end
  local fits = true
  if youngest then
    local _, published = facts(redis.call('HGET', state, list[i]), tonumber(list[i + 1]))
    fits = tonumber(published) <= youngest
  end
  if fits then chosen[#chosen + 1] = list[i] end
end
if #chosen > 0 then
  redis.call('ZREM', line, unpack(chosen))
  redis.call('HDEL', bodies, unpack(chosen))
  redis.call('HDEL', state, unpack(chosen))
  tidy()
end
local answer = #chosen .. ' ' .. next_
return #chosen > 0 and remember(answer) or answer
`,
)

/** The most that one call of REDRIVE or CLEAN is asked for. */
export const STEP = 1_000
