/**
 * A history with faults: actors do random operations while they are killed and frozen, the network is cut and the server is killed and
 * comes back; when all has come to rest, what each wrote down is judged. The seed decides who does what and which fault comes next; the
 * timing of real processes is never the same twice. Works outside of a test, too.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock, systemIds } from '@muster/core'
import type { QueueBackend, QueueCounts } from '@muster/orchestrator'
import { tcpProxy } from '../faults/tcp-proxy.js'
import type { QueueBackendFactory } from '../queue-backend/kit.js'
import { seeded } from '../queue-backend/work.js'
import { LONGEST_LEASE_MS, MOST_HELD, MOST_PUBLISHED } from './actor.js'
import { Cast } from './cast.js'
import { hostNow, Journal, readJournals } from './journal.js'
import { judge, type Verdict } from './verdict.js'

/** What a history is to be. */
export interface HistoryOptions {
  readonly seed: number
  /** Operations that were answered, of all actors together. */
  readonly operations: number
  /** Hears in a line what is going on. */
  readonly log?: (text: string) => void
}

/** What came out. It is good where nothing is lost, nothing is a problem, and duplicates are at most `allowedDuplicates`. */
export interface HistoryReport extends Verdict {
  readonly seed: number
  readonly operations: number
  /** How often what was broken. */
  readonly faults: Readonly<Record<Fault, number>>
  /** Faults times what can have been in flight at each; 0 where `dedup` and `atomicMove` are declared. */
  readonly allowedDuplicates: number
}

/** What is broken. */
export const FAULTS = ['kill', 'freeze', 'cut', 'restart'] as const
/** See {@link FAULTS}. */
export type Fault = (typeof FAULTS)[number]

const ACTORS = 4
const OPERATIONS_PER_FAULT = 70
/** One of so many faults is the server's: it takes seconds, where the others take none. */
const FAULTS_PER_RESTART = 12
const QUIET_MS = 1_500
/** Longer than any lease. */
const FROZEN_MS = 1.5 * LONGEST_LEASE_MS

/** Runs one history. Throws what no actor may throw; leaves no process, connection or file. */
export async function runQueueHistory(factory: QueueBackendFactory, options: HistoryOptions): Promise<HistoryReport> {
  const { seed, operations, log = () => undefined } = options
  const directory = mkdtempSync(join(tmpdir(), 'muster-test-history-'))
  const [namespace, queue] = [`history-${systemIds.next()}`, 'q']
  const { server, capabilities } = factory
  const proxy = server && (await tcpProxy({ host: server.host, port: server.port }))
  const backend = await factory.open({ namespace, clock: systemClock })
  const config = proxy && server ? server.proxied(proxy).config : factory.processes?.config
  const cast = new Cast({ factory, backend, namespace, directory, config, queue, seed })
  const random = seeded(seed)
  const broken: [number, number][] = []
  const names: Fault[] = []
  const faults: Record<Fault, number> = { kill: 0, freeze: 0, cut: 0, restart: 0 }
  const deeds: Record<Fault, (() => Promise<void>) | undefined> = {
    kill: capabilities.shared ? () => cast.kill(random()) : undefined,
    freeze: capabilities.shared ? async () => cast.freeze(random(), FROZEN_MS) : undefined,
    cut: proxy && (async () => proxy.cut()),
    restart: server && (() => restart(server)),
  }
  try {
    await backend.declare(queue, { maxTries: 3 })
    await cast.enter(ACTORS)
    for (let n = 1; cast.done < operations; n++) {
      await cast.until(Math.min(operations, n * OPERATIONS_PER_FAULT))
      const fault = n % FAULTS_PER_RESTART === 6 ? 'restart' : (FAULTS[Math.floor(random() * 3)] ?? 'kill')
      const deed = cast.done < operations ? deeds[fault] : undefined
      if (deed === undefined) continue
      const from = hostNow()
      await deed()
      broken.push([from, hostNow() + (fault === 'freeze' ? FROZEN_MS : 0)])
      names.push(fault)
      faults[fault]++
      log(`${cast.done} operations, ${fault}`)
    }
    await cast.leave()
    await drain(backend, queue, new Journal(directory, 'drain'))
    const entries = readJournals(directory)
    const dead = await deadLetters(backend, queue, entries.length)
    const copies = !(capabilities.dedup && capabilities.atomicMove)
    const verdict = judge(entries, { dead, names, faults: broken, copies })
    const window = ACTORS * (MOST_HELD + MOST_PUBLISHED)
    const struck = Object.values(faults).reduce((sum, count) => sum + count)
    const allowedDuplicates = copies ? struck * window : 0
    return { ...verdict, seed, operations: cast.done, faults, allowedDuplicates }
  } finally {
    await cast.leave()
    await proxy?.close()
    await backend.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function restart(server: NonNullable<QueueBackendFactory['server']>): Promise<void> {
  await server.kill()
  await server.start()
}

/** Acknowledges all that is left, until nothing has come for longer than any lease or delay and nothing waits. */
async function drain(backend: QueueBackend, queue: string, journal: Journal): Promise<void> {
  for (let quiet = false; !quiet;) {
    const got = await backend.receive({ queue, max: 500, waitMs: LONGEST_LEASE_MS + QUIET_MS, leaseMs: 60_000 })
    const at = hostNow()
    // Two copies of one message may come together.
    const named = got.map(({ id }, n) => ({ delivery: `drain/${id}/${at}/${n}`, id, as: 'ack' as const }))
    got.forEach(({ id, tries, crashes }, n) => {
      const delivery = named[n]?.delivery ?? ''
      journal.write({ is: 'received', delivery, id, tries, crashes, at, until: at + 60_000 })
    })
    for (const one of named) journal.write({ is: 'settling', ...one, at: hostNow() })
    const outcomes = await backend.settle(got.map(({ receipt }) => ({ as: 'ack', receipt })))
    named.forEach((one, n) => {
      const outcome = outcomes[n]
      if (outcome) journal.write({ is: 'settled', ...one, outcome, at: hostNow() })
    })
    quiet = got.length === 0 && rests(await backend.counts(queue))
  }
  journal.close()
}

function rests({ ready, delayed = 0, leased = 0 }: QueueCounts): boolean {
  return ready + delayed + leased === 0
}

async function deadLetters(backend: QueueBackend, queue: string, limit: number): Promise<ReadonlySet<string>> {
  const { letters } = await backend.browseDead(queue, { limit: Math.max(1, limit) })
  return new Set(letters.map(({ id }) => id))
}
