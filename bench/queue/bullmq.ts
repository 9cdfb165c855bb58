/**
 * The peer on Redis: BullMQ in the form in which it is fastest and still does what it is used for. Chosen, and why:
 *
 * - `removeOnComplete` and `removeOnFail`: a settled job leaves nothing, as ours does; keeping it costs writes and memory.
 * - No QueueEvents and no metrics: nobody listens. Its event stream cannot be turned off (every script writes to it); it is
 *   trimmed to about 100 entries instead of 10,000, so that it costs no memory.
 * - Instances of ioredis are handed in, of the same release as ours uses; a Worker gets a connection of its own and makes its
 *   second one for blocking by itself. Auto-pipelining is off: on, a Worker did 0.5 to 0.7 x as much here, addBulk no more.
 * - How many calls of addBulk are in flight, how many jobs are in one, how many jobs a Worker has at once, and one Worker or two
 *   in this process: the rows try several and take the best (best.ts).
 * - `autorun: false`, and a Worker is started when it is connected: connecting is not measured.
 * - Lock renewal and the check for stalled jobs stay on: they are what makes its jobs come back, and they run on timers of 15 s
 *   and 30 s, which costs nothing here. `drainDelay` stays at 5 s: a longer one only saves wake-ups of an idle Worker.
 * - Nobody sets `attempts`, priorities or an id: each adds work.
 */
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import type { JsonValue } from '@muster/core'

const JOB_OPTIONS = { removeOnComplete: true, removeOnFail: true } as const

/** How a Worker is set up. */
export interface WorkerSetup {
  readonly concurrency: number
  /** How many Workers share the work in this process; each with this concurrency. */
  readonly workers: number
}

/** BullMQ on one Redis. */
export class BullPeer {
  readonly #url: string
  readonly #queue: Queue
  readonly #client: Redis

  private constructor(url: string, queue: string, client: Redis) {
    this.#url = url
    this.#client = client
    this.#queue = new Queue(queue, {
      connection: client,
      defaultJobOptions: JOB_OPTIONS,
      streams: { events: { maxLen: 100 } },
    })
  }

  /** Connects; the queue is there when this resolves. Whoever opens closes. */
  static async open(url: string, queue: string): Promise<BullPeer> {
    const peer = new BullPeer(url, queue, connect(url))
    await peer.#queue.waitUntilReady()
    return peer
  }

  /** Publishes one job; resolves when Redis has it. */
  async add(body: JsonValue): Promise<void> {
    await this.#queue.add('mail', body)
  }

  /** Publishes many; resolves when Redis has them all. */
  async addBulk(bodies: readonly JsonValue[]): Promise<void> {
    await this.#queue.addBulk(bodies.map((data) => ({ name: 'mail', data })))
  }

  /** How many jobs there are, in whatever state. */
  async count(): Promise<number> {
    const counts = await this.#queue.getJobCounts('wait', 'active', 'delayed', 'prioritized', 'completed', 'failed')
    return Object.values(counts).reduce((sum, count) => sum + count, 0)
  }

  /** Processes `jobs` that are there, with a handler that does nothing; gives the milliseconds to the last one being completed. */
  async process(jobs: number, { concurrency, workers }: WorkerSetup): Promise<number> {
    const clients = Array.from({ length: workers }, () => connect(this.#url))
    let left = jobs
    const crew = clients.map((client) => this.#worker(client, concurrency, async () => undefined))
    const done = new Promise<void>((resolve, reject) => {
      for (const worker of crew) {
        worker.on('completed', () => {
          left -= 1
          if (left === 0) resolve()
        })
        worker.on('failed', (_job, error) => reject(error))
        worker.on('error', reject)
      }
    })
    try {
      await Promise.all(crew.map((worker) => worker.waitUntilReady()))
      const start = performance.now()
      for (const worker of crew) void worker.run()
      await done
      return performance.now() - start
    } finally {
      await Promise.all(crew.map((worker) => worker.close()))
      for (const client of clients) client.disconnect()
    }
  }

  /** A standing Worker that calls `handler` at the start of each job. */
  async stand(concurrency: number, handler: (body: JsonValue) => void): Promise<{ close(): Promise<void> }> {
    const client = connect(this.#url)
    const worker = this.#worker(client, concurrency, async (body) => handler(body))
    await worker.waitUntilReady()
    void worker.run()
    return {
      close: async () => {
        await worker.close()
        client.disconnect()
      },
    }
  }

  /** Removes the queue and all that is in it. */
  async empty(): Promise<void> {
    await this.#queue.obliterate({ force: true })
  }

  async close(): Promise<void> {
    await this.#queue.close()
    this.#client.disconnect()
  }

  #worker(client: Redis, concurrency: number, handle: (body: JsonValue) => Promise<unknown>): Worker {
    return new Worker(this.#queue.name, (job) => handle(job.data as JsonValue), {
      ...JOB_OPTIONS_OF_WORKERS,
      connection: client,
      concurrency,
      autorun: false,
    })
  }
}

/** A Worker takes counts where a job takes a boolean. */
const JOB_OPTIONS_OF_WORKERS = { removeOnComplete: { count: 0 }, removeOnFail: { count: 0 } } as const

function connect(url: string): Redis {
  return new Redis(url, { maxRetriesPerRequest: null })
}
