/**
 * What our Lua scripts share: how one is defined, and the fragments that several are made of.
 *
 * A queue is thirteen keys under one hash tag:
 *
 * | key        | type | holds                                                                              |
 * | ---------- | ---- | ---------------------------------------------------------------------------------- |
 * | `meta`     | hash | `seq` (last place given), settings, `paused`, `declared`, `known` (in the registry), `name` |
 * | `bodies`   | hash | id -> body, of every message there is                                              |
 * | `state`    | hash | id -> `priority published tries crashes [reason died detail]`; absent: the place says it |
 * | `ready`    | zset | id -> place                                                                        |
 * | `suspects` | zset | id -> place, of those that have seen two holders vanish                            |
 * | `delayed`  | zset | id -> when it falls due                                                            |
 * | `dead`     | zset | id -> number of its death                                                          |
 * | `held`     | hash | id -> fence of who holds it                                                        |
 * | `leases`   | zset | fence -> when its lease ends: one per receive, not per message                     |
 * | `batches`  | hash | fence -> ids and old places of what it received                                    |
 * | `open`     | hash | fence -> how many of them are unsettled                                            |
 * | `extended` | zset | id -> when its lease ends, of those whose holder moved it: goes before `leases`    |
 * | `wake`     | list | at most one token: "somebody who waits should look"                                |
 *
 * Times are microseconds of the server since 2024. A **place** is the microsecond at which a message joined the line, in a band of its
 * priority: so one number orders the line, tells the priority, and dates the message. Places grow, even when the clock steps back.
 *
 * Invariant: the first write of every script but publish is one that Redis allows when it is out of memory (what follows is then
 * allowed too): consumers go on and make room.
 */
import { createHash } from 'node:crypto'
import { DEFAULT_SETTINGS } from '../../backend.js'

/** The keys of a queue; `once` is one of several: for answers that got lost, and where a process knocks (stand.ts). */
export const KEY_NAMES = [
  'meta',
  'bodies',
  'state',
  'ready',
  'suspects',
  'delayed',
  'dead',
  'held',
  'leases',
  'batches',
  'open',
  'extended',
  'wake',
] as const
/** A key of a queue. */
export type KeyName = (typeof KEY_NAMES)[number] | 'once'

/** A script with the keys that it declares, in their order. */
export interface Script {
  readonly name: string
  readonly keys: readonly KeyName[]
  readonly source: string
  readonly sha: string
}

/** A script: its keys become locals of the same names. */
export function defineScript(name: string, keys: readonly KeyName[], ...parts: readonly string[]): Script {
  const locals = `local ${keys.join(', ')} = ${keys.map((_, index) => `KEYS[${index + 1}]`).join(', ')}`
  const source = [`-- muster ${name}`, locals, ...parts].join('\n')
  return { name, keys, source, sha: createHash('sha1').update(source).digest('hex') }
}

/** 2024-01-01 in milliseconds: where our microseconds begin, so that ten bands of them fit the exact integers of a double. */
export const EPOCH_MS = 1_704_067_200_000
/** The width of a priority's band of places: microseconds until 2055. */
export const BAND = 1e15
/** The crashes after which a message is handed out by itself. */
export const SUSPECT_CRASHES = 2

/** A hash of few small values is a list, and looking one up walks over it. One value of 65 bytes makes it a table. */
export const DUMMY = '-'.repeat(65)

/** `now`, and the numbers that grow: `draw()` gives the next place, `saveSeq()` remembers it. Needs `meta`. */
export const TIME = `
local clock = redis.call('TIME')
local now = (clock[1] - ${EPOCH_MS / 1000}) * 1000000 + clock[2]
local seq
local function draw()
  if not seq then seq = tonumber(redis.call('HGET', meta, 'seq') or 0) end
  seq = math.max(seq + 1, now)
  return seq
end
local function saveSeq() if seq then redis.call('HSET', meta, 'seq', seq) end end
`

/**
 * Calls that must not happen twice (those that change nothing need no `remember`): ARGV[1] is the number of the call, ARGV[2] is 1 where an answer to it may have got lost. Needs
 * `once`, a key that one caller uses for one call after the other.
 */
export const ONCE = `
local function answered()
  if ARGV[2] ~= '1' then return false end
  local last = redis.call('GET', once)
  if not last or string.sub(last, 1, #ARGV[1] + 1) ~= ARGV[1] .. ' ' then return false end
  return string.sub(last, #ARGV[1] + 2)
end
local function remember(answer)
  redis.call('SET', once, ARGV[1] .. ' ' .. answer, 'PX', 60000)
  return answer
end
`

/** Wakes one of those who wait. Needs `wake`. */
export const RING = `
local function ring()
  -- DEL removes nothing: it is there for when memory is full.
  if redis.call('EXISTS', wake) == 0 and redis.call('DEL', wake) == 0 then redis.call('RPUSH', wake, '1') end
end
`

/** Reading places and states. Needs `state`. */
export const FACTS = `
local function placeOf(priority, number) return (4 - priority) * ${BAND} + number end
local function facts(text, place)
  if text then
    local priority, published, tries, crashes = string.match(text, '^(%d+) (%d+) (%d+) (%d+)')
    return tonumber(priority), published, tonumber(tries), tonumber(crashes)
  end
  local published = ${EPOCH_MS} + math.floor(place % ${BAND} / 1000)
  return 4 - math.floor(place / ${BAND}), string.format('%.0f', published), 0, 0
end
local function note(id, priority, published, tries, crashes)
  redis.call('HSET', state, id, string.format('%d %s %d %d', priority, published, tries, crashes))
end
`

/** Putting messages into line, or to the dead. Needs TIME, FACTS, `state`, `ready`, `suspects`, `dead`. */
export const MOVES = `
local function stand(id, place, crashes)
  redis.call('ZADD', crashes >= ${SUSPECT_CRASHES} and suspects or ready, place, id)
end
local function bury(id, priority, published, tries, crashes, reason, detail)
  local number = draw()
  redis.call('ZADD', dead, number, id)
  local died = string.format('%.0f', ${EPOCH_MS} + math.floor(now / 1000))
  redis.call('HSET', state, id, string.format('%d %s %d %d %s %s ', priority, published, tries, crashes, reason, died) .. detail)
end
`

/** Ending holds. Needs `leases`, `batches`, `open`. */
export const HOLDS = `
local function letGo(fence, count)
  if redis.call('HINCRBY', open, fence, 0 - count) > 0 then return end
  redis.call('ZREM', leases, fence)
  redis.call('HDEL', batches, fence)
  redis.call('HDEL', open, fence)
end
local places = {}
local function oldPlace(fence, id)
  if not places[fence] then
    places[fence] = {}
    local packed = redis.call('HGET', batches, fence)
    local batch = packed and cmsgpack.unpack(packed) or {}
    for i = 1, #batch, 2 do places[fence][batch[i]] = tonumber(batch[i + 1]) end
  end
  return places[fence][id] or placeOf(5, now)
end
`

/**
 * Does what is due: delayed messages join the line, expired leases count as crashes. In bounded steps: says whether some is left.
 * Needs TIME, FACTS, MOVES, HOLDS, `delayed`, `held`, `extended`.
 */
export const ADVANCE = `
local function crash(id, fence, maxCrashes)
  local place = oldPlace(fence, id)
  local priority, published, tries, crashes = facts(redis.call('HGET', state, id), place)
  crashes = crashes + 1
  if crashes >= maxCrashes then return bury(id, priority, published, tries, crashes, 'max-crashes', '') end
  note(id, priority, published, tries, crashes)
  stand(id, place, crashes)
end
local function crashLate(maxCrashes)
  local late = redis.call('ZRANGEBYSCORE', extended, '-inf', now, 'LIMIT', 0, 500)
  for _, id in ipairs(late) do
    redis.call('ZREM', extended, id)
    local fence = redis.call('HGET', held, id)
    if fence then
      redis.call('HDEL', held, id)
      crash(id, fence, maxCrashes)
      letGo(fence, 1)
    end
  end
  if #late == 500 then return 1000 end
  local ended = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 1)
  if #ended == 0 then return 1000 end
  local fence = ended[1]
  redis.call('ZREM', leases, fence)
  local batch, ids = cmsgpack.unpack(redis.call('HGET', batches, fence) or '\\144'), {}
  for i = 1, #batch, 2 do ids[#ids + 1] = batch[i] end
  local count = 0
  local holders = #ids > 0 and redis.call('HMGET', held, unpack(ids)) or {}
  for i, id in ipairs(ids) do
    if holders[i] == fence and not redis.call('ZSCORE', extended, id) then
      redis.call('HDEL', held, id)
      crash(id, fence, maxCrashes)
      count = count + 1
    end
  end
  letGo(fence, count)
  return #ids + 1
end
local function advance()
  local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 500)
  if #due > 0 then
    redis.call('ZREM', delayed, unpack(due))
    local texts = redis.call('HMGET', state, unpack(due))
    for i, id in ipairs(due) do
      local priority, _, _, crashes = facts(texts[i], placeOf(5, now))
      stand(id, placeOf(priority, draw()), crashes)
    end
  end
  local more = #due == 500
  if redis.call('ZCOUNT', leases, '-inf', now) + redis.call('ZCOUNT', extended, '-inf', now) > 0 then
    local maxCrashes = tonumber(redis.call('HGET', meta, 'maxCrashes') or ${DEFAULT_SETTINGS.maxCrashes})
    local steps = 0
    while steps < 1000 do steps = steps + crashLate(maxCrashes) end
    more = more or redis.call('ZCOUNT', leases, '-inf', now) > 0
  end
  saveSeq()
  return more
end
`

/** Forgets a queue that holds nothing an hour later, unless somebody declared or paused it. Needs `meta`, `bodies`, `held`, `wake`. */
export const TIDY = `
local function tidy()
  if redis.call('HLEN', bodies) > 1 then return end
  redis.call('DEL', bodies, held, wake)
  local lasting = redis.call('HMGET', meta, 'declared', 'paused')
  if not lasting[1] and not lasting[2] then redis.call('PEXPIRE', meta, 3600000) end
end
`

/** The keys that {@link ADVANCE} and what it stands on need. */
export const ADVANCE_KEYS = [
  'meta',
  'state',
  'ready',
  'suspects',
  'delayed',
  'dead',
  'held',
  'leases',
  'batches',
  'open',
  'extended',
] as const satisfies readonly KeyName[]
/** {@link ADVANCE} with what it stands on. */
export const ADVANCING = TIME + FACTS + MOVES + HOLDS + ADVANCE
