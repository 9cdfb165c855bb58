/**
 * Publishing: one call takes up to a thousand messages. Invariant: a message enters at most once for one call, whatever happens to the
 * connection: a call that is repeated because its answer got lost finds what the first one answered, even if the messages have been
 * consumed meanwhile; and an id that is present is left alone. Ids that were made for a call cannot be present when it is sent for the
 * first time, so only then they are not looked for.
 */
import { MusterError, type Ids } from '@muster/core'
import type { OutgoingMessage, PublishOutcome } from '../../backend.js'
import { DUMMY, EPOCH_MS, FACTS, ONCE, RING, TIME, defineScript } from './lua.js'
import { pack, type Packable } from './pack.js'

/** The most messages of one call: Lua passes at most some 8,000 values to a command. */
const MAX_MESSAGES = 1_000
/** The most bytes of one call, so that no call holds the server up for long; one message may be larger. */
const MAX_BYTES = 2 ** 21

/**
 * KEYS: as named. ARGV: 1 number of the call, 2 `1` if repeated, 3 packed id, body, id, body, …, 4 the priorities, a digit each (one
 * digit: of all), 5 `1` if all ids were made for this call, 6 packed delays in milliseconds, or nothing.
 * Answer: `1` if the registry does not know the queue, else `0`; then `a` accepted, `d` duplicate or `f` full for each message, or `A`:
 * all accepted.
 */
export const PUBLISH = defineScript(
  'publish',
  ['meta', 'bodies', 'state', 'ready', 'suspects', 'delayed', 'wake', 'once'],
  TIME,
  ONCE,
  RING,
  FACTS,
  `
local before = answered()
if before then return before end
local messages = cmsgpack.unpack(ARGV[3])
local delays = ARGV[6] and cmsgpack.unpack(ARGV[6])
local count = #messages / 2
local settings = redis.call('HMGET', meta, 'limit', 'paused', 'known', 'seq')
seq = tonumber(settings[4] or 0)
local ids = {}
for i = 1, count do ids[i] = messages[2 * i - 1] end
local born = ARGV[5] == '1' and ARGV[2] ~= '1'
local present = born and {} or redis.call('HMGET', bodies, unpack(ids))
local room = count
if settings[1] then
  room = tonumber(settings[1])
  for _, key in ipairs({ ready, suspects, delayed }) do room = room - redis.call('ZCARD', key) end
end
local plain = not delays and room >= count
for i = 1, #present do
  if present[i] then plain = false end
end
local one = #ARGV[4] == 1 and tonumber(ARGV[4])
if plain and one then
  -- Nearly every call: all are new, of one priority, and due at once.
  local line, place = {}, placeOf(one, draw()) - 1
  for i = 1, count do line[2 * i - 1], line[2 * i] = place + i, ids[i] end
  seq = seq + count - 1
  if redis.call('HSET', bodies, '', '${DUMMY}', unpack(messages)) > count then redis.call('PERSIST', meta) end
  redis.call('ZADD', ready, unpack(line))
  saveSeq()
  if not settings[2] then ring() end
  return remember((settings[3] and '0' or '1') .. 'A')
end
local codes, all = {}, true
local records, line, later, soonest = {}, {}, {}, math.huge
local taken = 0
for i = 1, count do
  if present[i] then codes[i], all = 'd', false
  elseif taken >= room then codes[i], all = 'f', false
  else
    codes[i] = 'a'
    taken = taken + 1
    local priority = one or tonumber(string.sub(ARGV[4], i, i))
    local delay = delays and tonumber(delays[i]) or 0
    records[2 * taken - 1], records[2 * taken] = ids[i], messages[2 * i]
    if delay == 0 then
      line[#line + 1] = placeOf(priority, draw())
      line[#line + 1] = ids[i]
    else
      -- The next place breaks ties; should the clock have stepped back, it must not put the delay off.
      local from = draw()
      if from - now > 1000000 then from = now + i end
      local due = from + delay * 1000
      later[#later + 1] = due
      later[#later + 1] = ids[i]
      soonest = math.min(soonest, due)
    end
  end
end
local answer = (settings[3] and '0' or '1') .. (all and 'A' or table.concat(codes))
if taken == 0 then return answer end
if redis.call('HSET', bodies, '', '${DUMMY}', unpack(records)) > taken then redis.call('PERSIST', meta) end
local wakes = #line > 0
if wakes then redis.call('ZADD', ready, unpack(line)) end
if #later > 0 then
  local published = string.format('%.0f', ${EPOCH_MS} + math.floor(now / 1000))
  for i = 1, count do
    if codes[i] == 'a' and tonumber(delays[i]) > 0 then
      note(ids[i], one or tonumber(string.sub(ARGV[4], i, i)), published, 0, 0)
    end
  end
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  if #first == 0 or soonest < tonumber(first[2]) then wakes = true end
  redis.call('ZADD', delayed, unpack(later))
end
saveSeq()
if wakes and not settings[2] then ring() end
return remember(answer)
`,
)

/** What one call publishes: parallel lists, since an object per message is what a large batch would spend its time on. */
export interface Chunk {
  readonly ids: string[]
  readonly messages: OutgoingMessage[]
  /** Whether all ids were made for this call. */
  born: boolean
}

/** One call's worth of messages after the other, no id twice in one: what is published twice in a batch is a duplicate of itself. */
export function* chunks(messages: readonly OutgoingMessage[], ids: Ids): Generator<Chunk> {
  let [chunk, bytes, seen] = [emptyChunk(), 0, new Set<string>()]
  for (const message of messages) {
    const id = message.id ?? ids.next()
    // Characters of a text count as a byte each: what is told apart here is large from small.
    const size = message.body.length + id.length
    const full = chunk.ids.length === MAX_MESSAGES || (chunk.ids.length > 0 && bytes + size > MAX_BYTES)
    if (full || (message.id !== undefined && seen.has(id))) {
      yield chunk
      ;[chunk, bytes, seen] = [emptyChunk(), 0, new Set()]
    }
    if (message.id !== undefined) {
      seen.add(id)
      chunk.born = false
    }
    chunk.ids.push(id)
    chunk.messages.push(message)
    bytes += size
  }
  if (chunk.ids.length > 0) yield chunk
}

function emptyChunk(): Chunk {
  return { ids: [], messages: [], born: true }
}

/** The arguments of {@link PUBLISH} after the two of a repeatable call. */
export function publishArguments({ ids, messages, born }: Chunk): (string | Buffer)[] {
  const list: Packable[] = []
  const priority = messages[0]?.priority ?? 5
  let [uniform, delayed] = [true, false]
  messages.forEach((message, index) => {
    list.push(ids[index] ?? '', message.body)
    if ((message.priority ?? 5) !== priority) uniform = false
    if (message.delayMs !== undefined && message.delayMs > 0) delayed = true
  })
  const digits = uniform ? String(priority) : messages.map((message) => message.priority ?? 5).join('')
  const delays = delayed ? [pack(messages.map(({ delayMs = 0 }) => String(delayMs)))] : []
  return [pack(list), digits, born ? '1' : '0', ...delays]
}

/** What {@link PUBLISH} answered. */
export function publishOutcomes(answer: string, { ids }: Chunk, queue: string): PublishOutcome[] {
  if (answer.startsWith('A', 1)) return ids.map((id) => ({ status: 'accepted', id }))
  return ids.map((id, index) => {
    const code = answer[index + 1]
    if (code === 'a') return { status: 'accepted', id }
    if (code === 'd') return { status: 'duplicate', id }
    return { status: 'failed', id, error: new MusterError('QUEUE_FULL', `queue ${queue} is at its limit`) }
  })
}
