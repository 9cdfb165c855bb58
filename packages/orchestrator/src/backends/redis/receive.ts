/**
 * Receiving: takes the first of the line and holds them under one lease. Invariant: `max` is never exceeded, nothing is taken that is
 * not handed out, and a call that is repeated because its answer got lost gets the very deliveries that it was to have: the caller
 * chooses the fence of the lease, so the server knows it again.
 *
 * A **suspect**, a message that has seen two holders vanish, is handed out by itself, and never to one who holds another suspect: if it
 * kills this holder too, it takes no other suspect along, so an innocent neighbour never comes near its last crash.
 */
import { ADVANCE_KEYS, ADVANCING, DUMMY, RING, defineScript } from './lua.js'
import { unpackTexts } from './pack.js'
import { BAND, EPOCH_MS } from './lua.js'

/** More bytes than this are not handed out at once, whatever `max` says; a single message always is. */
const MAX_BYTES = 2 ** 25

/**
 * KEYS: as named; `once` is where one knocks (stand.ts). ARGV: 1 max, 2 fence, 3 lease in milliseconds, 4 `1` if the caller may take a
 * suspect, 5 `1` if repeated, 6 `stand` if it waited for its turn and may have been called off, `recall` if it is only to give again
 * what was taken under this fence.
 * Answer: milliseconds until something may be due (-1: nothing); or when it was taken (microseconds), packed id, place, id, place, …,
 * bodies, states (or nothing).
 */
export const RECEIVE = defineScript(
  'receive',
  [...ADVANCE_KEYS, 'bodies', 'wake', 'once'],
  ADVANCING,
  RING,
  `
local max, fence = tonumber(ARGV[1]), ARGV[2]
-- Bodies of the first of them, as many as are not too much; gives also where it stopped.
local function load(list)
  local kept, found, size, bytes, i = {}, {}, 0, 0, 1
  while i <= #list and bytes < ${MAX_BYTES} do
    local ids, stop = {}, math.min(i + 99, #list)
    for j = i, stop, 2 do ids[(j - i) / 2 + 1] = list[j] end
    local part = redis.call('HMGET', bodies, unpack(ids))
    for k = 1, #ids do
      local body = part[k]
      if body then
        size = size + 1
        found[size] = body
        kept[2 * size - 1], kept[2 * size] = ids[k], list[i + 2 * k - 1]
        bytes = bytes + #body
      end
    end
    i = stop + 1
  end
  return kept, found, i
end
local function answer(kept, found)
  local states
  if redis.call('EXISTS', state) == 1 then
    local ids = {}
    for i = 1, #found do ids[i] = kept[2 * i - 1] end
    states = redis.call('HMGET', state, unpack(ids))
  end
  return { now, cmsgpack.pack(kept), found, states }
end
local function until_()
  local first = math.huge
  for _, key in ipairs({ delayed, leases, extended }) do
    local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if head[2] then first = math.min(first, tonumber(head[2])) end
  end
  if first == math.huge then return { -1 } end
  return { math.max(0, math.ceil((first - now) / 1000)) }
end

-- Called off: who stood here has gone, and the token that ended the wait is for another.
if ARGV[6] == 'stand' and redis.call('DEL', once) == 1 then
  local left = redis.call('EXISTS', ready, suspects) > 0
  if left and not redis.call('HGET', meta, 'paused') then ring() end
  return { -1 }
end
if ARGV[5] == '1' then
  local packed = redis.call('HGET', batches, fence)
  if packed then
    local list, ids, mine = cmsgpack.unpack(packed), {}, {}
    for i = 1, #list, 2 do ids[#ids + 1] = list[i] end
    local holders = redis.call('HMGET', held, unpack(ids))
    for i = 1, #ids do
      if holders[i] == fence then mine[#mine + 1] = ids[i]; mine[#mine + 1] = list[2 * i] end
    end
    local kept, found = load(mine)
    if #found > 0 then return answer(kept, found) end
  end
end
if ARGV[6] == 'recall' then return { -1 } end

local more = advance()
if redis.call('HGET', meta, 'paused') then return until_() end
local line, taken = ready, nil
local suspect = redis.call('ZRANGE', suspects, 0, 0, 'WITHSCORES')
if #suspect == 0 then
  taken = redis.call('ZPOPMIN', ready, max)
else
  local first = redis.call('ZRANGE', ready, 0, 0, 'WITHSCORES')
  if ARGV[4] == '1' and (#first == 0 or tonumber(suspect[2]) < tonumber(first[2])) then
    line, taken = suspects, redis.call('ZPOPMIN', suspects, 1)
  else
    local before = ARGV[4] == '1' and '(' .. suspect[2] or '+inf'
    taken = redis.call('ZRANGEBYSCORE', ready, '-inf', before, 'WITHSCORES', 'LIMIT', 0, max)
    redis.call('ZREMRANGEBYRANK', ready, 0, #taken / 2 - 1)
  end
end
if #taken == 0 then
  if more then ring() end
  return until_()
end
local kept, found, stopped = load(taken)
if stopped <= #taken then
  local back = {}
  for i = stopped, #taken, 2 do back[#back + 1] = taken[i + 1]; back[#back + 1] = taken[i] end
  redis.call('ZADD', line, unpack(back))
end
if #found == 0 then return { 0 } end
local holds = {}
for i = 1, #found do holds[2 * i - 1], holds[2 * i] = kept[2 * i - 1], fence end
redis.call('HSET', held, '', '${DUMMY}', unpack(holds))
redis.call('ZADD', leases, now + ARGV[3] * 1000, fence)
redis.call('HSET', batches, fence, cmsgpack.pack(kept))
redis.call('HSET', open, fence, #found)
if more or redis.call('EXISTS', ready) == 1 or redis.call('EXISTS', suspects) == 1 then ring() end
return answer(kept, found)
`,
)

/** A message as the script hands it out. */
export interface Handed {
  readonly id: string
  readonly body: Buffer
  readonly priority: number
  readonly tries: number
  readonly crashes: number
  readonly publishedAt: number
}

/**
 * KEYS: as named. ARGV: 1: ends the wait of the receive that stands (one element ends the blocking read), 2: calls it off, too (the other
 * stays for the receive behind it). What nobody hears is forgotten.
 */
export const KNOCK = defineScript(
  'knock',
  ['once'],
  `
redis.call('DEL', once)
for _ = 1, tonumber(ARGV[1]) do redis.call('RPUSH', once, '1') end
return redis.call('PEXPIRE', once, 10000)
`,
)

/** What {@link RECEIVE} answers. */
export type ReceiveReply = readonly [
  dueMs: number,
  batch?: Buffer | null,
  bodies?: readonly Buffer[] | null,
  states?: readonly (Buffer | null)[] | null,
]

/** Calls back for each message of an answer. */
export function eachHanded([, batch, bodies, states]: ReceiveReply, take: (message: Handed) => void): void {
  if (!batch || !bodies) return
  const list = unpackTexts(batch)
  bodies.forEach((body, index) => {
    const id = list[2 * index] ?? ''
    const state = states?.[index]
    if (state) return take({ id, body, ...readState(state.toString()) })
    const place = Number(list[2 * index + 1])
    const level = Math.floor(place / BAND)
    const publishedAt = EPOCH_MS + Math.floor((place - level * BAND) / 1_000)
    take({ id, body, priority: 4 - level, tries: 0, crashes: 0, publishedAt })
  })
}

/** What a state says: `priority published tries crashes`, and for dead letters more. */
export function readState(text: string): Omit<Handed, 'id' | 'body'> {
  const [priority, publishedAt, tries, crashes] = text.split(' ', 4).map(Number)
  return { priority: priority ?? 5, publishedAt: publishedAt ?? 0, tries: tries ?? 0, crashes: crashes ?? 0 }
}
