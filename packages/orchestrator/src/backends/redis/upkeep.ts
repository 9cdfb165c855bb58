/**
 * Looking after queues, our side of it: counts, dead letters, cleaning, names. Invariant: a job that takes many steps ends, also under load: it
 * goes through what was there when it began.
 */
import type { CleanRequest, DeadLetter, DeadPage, DeadReason, QueueCounts } from '../../backend.js'
import type { Desk } from './desk.js'
import { encodeName, registryKey } from './keys.js'
import { BROWSE, CLEAN, COUNTS, REDRIVE, STEP } from './maintain.js'
import { pack, unpackTexts } from './pack.js'
import { readState } from './receive.js'

/** The most bytes of dead letters that one answer holds, except for a single larger one. */
const MAX_PAGE_BYTES = 2 ** 23

/** How full a queue is, after everything that is due has happened. */
export async function counts(desk: Desk, queue: string): Promise<QueueCounts> {
  for (;;) {
    const reply = (await desk.server.run(COUNTS, desk.keys(queue), () => [])) as number[]
    const [ready = 0, delayed = 0, leased = 0, dead = 0, oldestUs = -1, paused = 0, more = 0] = reply
    if (more === 1) continue
    return { ready, delayed, leased, dead, oldestMs: oldestUs < 0 ? null : oldestUs / 1_000, paused: paused === 1 }
  }
}

/** A page of dead letters. */
export async function browseDead(desk: Desk, queue: string, limit: number, cursor: string): Promise<DeadPage> {
  const letters: DeadLetter[] = []
  for (let last = cursor; ;) {
    const args = [last, String(Math.min(STEP, limit - letters.length)), String(MAX_PAGE_BYTES)]
    const reply = await desk.server.run(BROWSE, desk.keys(queue), () => args)
    const [list, bodies, states, more] = reply as [Buffer, Buffer[], Buffer[], number]
    const names = unpackTexts(list)
    bodies.forEach((body, n) => letters.push(deadLetter(names[2 * n] ?? '', body, String(states[n]))))
    last = names.at(-1) ?? last
    if (more === 0) return { letters }
    if (letters.length >= limit) return { letters, cursor: last }
  }
}

function deadLetter(id: string, body: Buffer, state: string): DeadLetter {
  const { priority, publishedAt, tries, crashes } = readState(state)
  const [, reason = 'rejected', diedAt, detail = ''] = /^(?:\S+ ){4}(\S+) (\d+) ([^]*)$/.exec(state) ?? []
  return {
    id,
    body,
    priority,
    tries,
    crashes,
    reason: reason as DeadReason,
    detail,
    publishedAt,
    diedAt: Number(diedAt),
  }
}

/** Puts dead letters back in line; says how many. */
export async function redrive(
  desk: Desk,
  queue: string,
  which: { limit?: number; ids?: readonly string[] },
): Promise<number> {
  const { limit = Infinity, ids } = which
  let moved = 0
  let last = ''
  for (const part of steps(ids)) {
    const args = [String(Math.min(STEP, limit - moved)), last, ...(part ? [pack(part)] : [])]
    const [count = 0, until = ''] = (await desk.once(REDRIVE, desk.keys(queue), args)).split(' ')
    moved += Number(count)
    if (part === undefined) last = until
    if (moved >= limit || (part === undefined && Number(count) < STEP)) break
  }
  return moved
}

/** Removes messages; says exactly how many. */
export async function clean(desk: Desk, queue: string, which: CleanRequest): Promise<number> {
  const { state = 'waiting', limit = Infinity, olderThanMs, ids } = which
  let removed = 0
  for (const line of LINES[state]) {
    let from = ''
    for (const part of steps(ids)) {
      if (removed >= limit) return removed
      const filter = [String(Math.min(STEP, limit - removed)), String(olderThanMs ?? ''), from]
      const answer = await desk.once(CLEAN, desk.keys(queue), [line, ...filter, ...(part ? [pack(part)] : [])])
      const [count, next = 'end'] = answer.split(' ')
      removed += Number(count)
      if (part === undefined && next === 'end') break
      from = part === undefined ? next : ''
    }
  }
  return removed
}

/** Suspects go first: they have waited longest in their line. */
const LINES = {
  waiting: ['suspects', 'ready', 'delayed'],
  ready: ['suspects', 'ready'],
  delayed: ['delayed'],
  dead: ['dead'],
} as const

/** The ids in steps; without ids, steps without end. */
function* steps(ids: readonly string[] | undefined): Generator<readonly string[] | undefined> {
  if (ids === undefined) for (;;) yield undefined
  const all = [...new Set(ids)]
  for (let n = 0; n < all.length; n += STEP) yield all.slice(n, n + STEP)
}

/** The names of the queues, sorted. Those that were forgotten leave the registry. */
export async function list(desk: Desk): Promise<string[]> {
  const registry = registryKey(desk.namespace)
  const names = ((await desk.server.command('hvals', registry)) as Buffer[]).map(String)
  const known = await Promise.all(names.map((name) => desk.server.command('exists', desk.keys(name).key('meta'))))
  const forgotten = names.filter((_, n) => known[n] !== 1)
  for (const name of forgotten) {
    await desk.server.command('hdel', registry, encodeName(name))
    // Somebody may have published meanwhile; whoever does later finds that the registry does not know the queue.
    if ((await desk.server.command('exists', desk.keys(name).key('meta'))) === 1) await desk.register(desk.keys(name))
  }
  return names.filter((_, n) => known[n] === 1).sort()
}
