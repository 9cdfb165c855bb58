/** A process that works on a record until it is killed or done: the suite's crashes and crowds are real ones. Prints what it was answered. */
import { jobSpec, systemIds } from '@muster/core'
import type { JobStore, LeaseTimes, StoreOptions } from '@muster/job-manager'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { Worker } from 'node:worker_threads'

/** What a child is told to do. */
export interface Orders {
  readonly module: string
  readonly location: string
  readonly lease: LeaseTimes
  /**
   * `submit`: submits groups of 20 until killed, or `count` jobs. `live`: leads and takes waiting jobs through their life, for
   * ever. `lead`: stands, says `won EPOCH`, and on each line of input tries a write. `wish`: cancels `job`. `race`: tries to place
   * each waiting job under the epoch given.
   */
  readonly task: 'submit' | 'live' | 'lead' | 'wish' | 'race'
  readonly count?: number
  readonly job?: string
  readonly epoch?: number
  readonly name?: string
}

interface Opening {
  openStore(location: string, options: StoreOptions): Promise<JobStore>
}

const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

async function main(orders: Orders): Promise<void> {
  const { openStore } = (await import(orders.module)) as Opening
  const store = await openStore(orders.location, { lease: orders.lease })
  say('open')
  await TASKS[orders.task](store, orders)
  await store.close()
  process.stdin.destroy()
}

const TASKS = { submit, live, lead, wish, race }

async function submit(store: JobStore, { count = Infinity, name = 'child' }: Orders): Promise<void> {
  const gaps = startGaps()
  for (let done = 0; done < count; done += 20) {
    const group = Array.from({ length: Math.min(20, count - done) }, () => insertOne(store, name))
    const ids = await Promise.all(group)
    say(`accepted ${ids.join(' ')}`)
  }
  say(`gap ${gaps()}`)
}

/**
 * Measures the longest gap between ticks, without the time in which this thread could run but the machine ran others; and beside
 * it that of a thread which does nothing else: what the machine itself holds up.
 */
function startGaps(): () => string {
  const shared = new Int32Array(new SharedArrayBuffer(4))
  const control = new Worker(CONTROL, { eval: true, workerData: shared })
  control.unref()
  let worst = 0
  let last = [performance.now(), runDelayMs()] as const
  const timer = setInterval(() => {
    const now = [performance.now(), runDelayMs()] as const
    worst = Math.max(worst, now[0] - last[0] - (now[1] - last[1]) - TICK_MS)
    last = now
  }, TICK_MS)
  return () => {
    clearInterval(timer)
    return `${Math.round(worst)} ${Atomics.load(shared, 0)}`
  }
}

const TICK_MS = 2
const CONTROL = `const { workerData } = require('node:worker_threads')
  let last = performance.now()
  setInterval(() => {
    const now = performance.now()
    workerData[0] = Math.max(workerData[0], Math.round(now - last - ${TICK_MS}))
    last = now
  }, ${TICK_MS})`

/** How long the main thread has waited for a processor. */
function runDelayMs(): number {
  const [, nanoseconds] = readFileSync('/proc/self/schedstat', 'utf8').split(' ')
  return Number(nanoseconds) / 1e6
}

async function insertOne(store: JobStore, name: string): Promise<string> {
  const spec = jobSpec({ worker: 'command', input: { of: name } }, { labels: { from: name } })
  const job = { id: systemIds.next(), spec, owner: name, payload: null, actor: `user:${name}` }
  return (await store.insert(job)).job.id
}

async function live(store: JobStore): Promise<void> {
  const { epoch } = await store.stand('child').won()
  say(`won ${epoch}`)
  const actor = 'leader:child'
  for (;;) {
    const group = Array.from({ length: 5 }, async () => {
      const id = await insertOne(store, 'child')
      const { token } = await store.place(epoch, id, { machine: 'm', gpus: [], actor })
      const ref = { jobId: id, attempt: 1, token }
      await store.start(epoch, ref, { tree: 'marker', actor })
      say(`running ${id}`)
      await store.finish(epoch, ref, { outcome: 'succeeded', exitCode: 0, collecting: true }, actor)
      say(`completed ${id}`)
      await store.collected(epoch, ref, null, actor)
    })
    await Promise.all(group)
  }
}

async function lead(store: JobStore, { name = 'child' }: Orders): Promise<void> {
  const candidacy = store.stand(name)
  const { epoch, lost } = await candidacy.won()
  say(`won ${epoch}`)
  lost.addEventListener('abort', () => {
    say('lost')
  })
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'close') return candidacy.close()
    const tried = store.promoteDue(epoch, 1).then(() => 'written', codeOf)
    say(`tried ${await tried}`)
  }
}

async function wish(store: JobStore, { job = '' }: Orders): Promise<void> {
  say(`wished ${(await store.cancel(job, 'user:child', 'enough')).outcome}`)
  process.stdin.resume()
  await new Promise(() => undefined)
}

async function race(store: JobStore, { epoch = 0, name = '' }: Orders): Promise<void> {
  const waiting = await store.waiting({ limit: 1_000 })
  for (let at = 0; at < waiting.length; at += 20) {
    const group = waiting.slice(at, at + 20).map(async ({ id }) => {
      const placing = store.place(epoch, id, { machine: name, gpus: [], actor: `leader:${name}` })
      say(
        await placing.then(
          () => `placed ${id}`,
          (error: unknown) => `refused ${codeOf(error)}`,
        ),
      )
    })
    await Promise.all(group)
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}

// Stays alive while the suite holds its input open, and ends with it.
process.stdin.on('end', () => process.exit(0))
await main(JSON.parse(process.argv[2] ?? '{}') as Orders)
