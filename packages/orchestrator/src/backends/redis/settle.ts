/**
 * Ending deliveries. Acknowledgements have a script of their own, since nearly all settlements are: it works on whole groups of one fence.
 * Invariant: a message is touched only if it is held under the fence that the receipt names and that hold has not ended; a call that is
 * repeated because its answer got lost finds what the first one answered.
 */
import { DEFAULT_SETTINGS, type SettleOutcome } from '../../backend.js'
import { ADVANCE_KEYS, FACTS, HOLDS, MOVES, ONCE, RING, TIDY, TIME, defineScript } from './lua.js'

/** Whether the hold of a fence on a message has not ended. Needs TIME, `leases`, `extended`. */
const LIVE = `
local moved = redis.call('EXISTS', extended) == 1
local ends = {}
local function live(fence, id)
  local own = moved and redis.call('ZSCORE', extended, id)
  if own then return tonumber(own) > now end
  if not ends[fence] then ends[fence] = tonumber(redis.call('ZSCORE', leases, fence) or 0) end
  return ends[fence] > now
end
`

/**
 * KEYS: as named. ARGV: 1 number of the call, 2 `1` if repeated, 3 packed fence, ids, fence, ids, …
 * Answer: `A` if all are settled, else `s` settled or `l` lost for each.
 */
export const ACK = defineScript(
  'ack',
  ['meta', 'bodies', 'state', 'held', 'leases', 'batches', 'open', 'extended', 'wake', 'once'],
  TIME,
  ONCE,
  FACTS,
  HOLDS,
  LIVE,
  TIDY,
  `
local before = answered()
if before then return before end
local groups = cmsgpack.unpack(ARGV[3])
local noted = redis.call('EXISTS', state) == 1
local codes, size, all, settled = {}, 0, true, 0
for g = 1, #groups, 2 do
  local fence, ids = groups[g], groups[g + 1]
  local holders = redis.call('HMGET', held, unpack(ids))
  local mine, count = {}, 0
  for i = 1, #ids do
    size = size + 1
    if holders[i] == fence and live(fence, ids[i]) then
      count = count + 1
      mine[count], codes[size] = ids[i], 's'
    else
      codes[size], all = 'l', false
    end
  end
  settled = settled + count
  if count > 0 then
    redis.call('HDEL', held, unpack(mine))
    redis.call('HDEL', bodies, unpack(mine))
    if noted then redis.call('HDEL', state, unpack(mine)) end
    if moved then redis.call('ZREM', extended, unpack(mine)) end
    letGo(fence, count)
  end
end
if settled == 0 then return table.concat(codes) end
tidy()
return remember(all and 'A' or table.concat(codes))
`,
)

/**
 * KEYS: as named. ARGV: 1 number of the call, 2 `1` if repeated, 3 packed fence, id, way, delay in milliseconds, reason, …: the ways are
 * `retry`, `release`, `dead`.
 * Answer: `s` settled, `d` settled and now dead, or `l` lost for each.
 */
export const SETTLE = defineScript(
  'settle',
  [...ADVANCE_KEYS, 'bodies', 'wake', 'once'],
  TIME,
  ONCE,
  RING,
  FACTS,
  MOVES,
  HOLDS,
  LIVE,
  `
local before = answered()
if before then return before end
local items = cmsgpack.unpack(ARGV[3])
local maxTries = tonumber(redis.call('HGET', meta, 'maxTries') or ${DEFAULT_SETTINGS.maxTries})
local codes, wakes, changed = {}, false, false
local function settle(fence, id, way, delay, reason)
  if redis.call('HGET', held, id) ~= fence or not live(fence, id) then return 'l' end
  changed = true
  redis.call('HDEL', held, id)
  if moved then redis.call('ZREM', extended, id) end
  local place = oldPlace(fence, id)
  local priority, published, tries, crashes = facts(redis.call('HGET', state, id), place)
  letGo(fence, 1)
  if way == 'dead' then
    bury(id, priority, published, tries, crashes, 'rejected', reason)
    return 'd'
  end
  if way == 'release' then
    stand(id, place, crashes)
    wakes = true
    return 's'
  end
  tries = tries + 1
  if tries >= maxTries then
    bury(id, priority, published, tries, crashes, 'max-tries', reason)
    return 'd'
  end
  note(id, priority, published, tries, crashes)
  if delay == 0 then
    stand(id, placeOf(priority, draw()), crashes)
    wakes = true
    return 's'
  end
  local from = draw()
  if from - now > 1000000 then from = now end
  local due = from + delay * 1000
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  if #first == 0 or due < tonumber(first[2]) then wakes = true end
  redis.call('ZADD', delayed, due, id)
  return 's'
end
for i = 1, #items, 5 do
  codes[#codes + 1] = settle(items[i], items[i + 1], items[i + 2], tonumber(items[i + 3]), items[i + 4])
end
saveSeq()
if wakes and not redis.call('HGET', meta, 'paused') then ring() end
return changed and remember(table.concat(codes)) or table.concat(codes)
`,
)

/**
 * KEYS: as named. ARGV: 1 packed fence, id, lease in milliseconds, …
 * Answer: `e` extended or `l` lost for each. Repeating it does no harm.
 */
export const EXTEND = defineScript(
  'extend',
  ['meta', 'held', 'leases', 'extended'],
  TIME,
  LIVE,
  `
local items, codes = cmsgpack.unpack(ARGV[1]), {}
redis.call('ZREM', extended, '')
for i = 1, #items, 3 do
  local fence, id = items[i], items[i + 1]
  if redis.call('HGET', held, id) == fence and live(fence, id) then
    redis.call('ZADD', extended, now + tonumber(items[i + 2]) * 1000, id)
    codes[#codes + 1] = 'e'
  else
    codes[#codes + 1] = 'l'
  end
end
return table.concat(codes)
`,
)

/** The outcome that an answer of these scripts spells for the settlement that was told as number `index`. */
export function settleOutcome(answer: string, index: number): SettleOutcome {
  return answer === 'A' ? 'settled' : (OUTCOMES[answer[index] ?? 'l'] ?? 'lease-lost')
}

const OUTCOMES: Readonly<Record<string, SettleOutcome>> = { s: 'settled', d: 'dead', l: 'lease-lost' }
