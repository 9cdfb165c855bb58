/**
 * Wake-ups through a server, from process to process. A leader that would not look for a minute by itself starts a job at once, because
 * somebody said so; while the server is down nothing waits for it, and nothing is lost.
 */
import type { MusterError } from '@muster/core'
import type { Cluster, ClusterOptions } from '@muster/cluster'
import { startRabbit, startRedis, type QueueServer } from '@muster/testing/servers'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { script, World } from './world.js'

const PATIENT = { timeout: 20_000 }
/** Nothing but a wake-up makes this leader look again within the test. */
const DEAF: ClusterOptions['tuning'] = { sweepMs: 600_000, changeMs: 600_000 }

/** Looks each second, and is told nothing by the record: so that what a wake-up saves shows. */
const SWEEPS: ClusterOptions['tuning'] = { changeMs: 600_000 }
const AT_ONCE_MS = 500
/** The longest that a backend takes to know that its server is gone: three heartbeats of RabbitMQ, and a moment. */
const CLOSED_MS = 20_000

/** A server, and how it loses all that it holds while everybody is connected. */
interface Lossy {
  readonly server: QueueServer
  wipe(): Promise<void>
}

const SERVERS = {
  redis: async (): Promise<Lossy> => {
    const server = await startRedis()
    const wipe = async (): Promise<void> => {
      expect((await server.exec('redis-cli flushall')).stdout).toContain('OK')
    }
    return { server, wipe }
  },
  rabbitmq: async (): Promise<Lossy> => {
    const server = await startRabbit()
    const all = `[rabbit_amqqueue:delete(Q, false, false, <<"muster">>) || Q <- rabbit_amqqueue:list(<<"/">>)], gone.`
    const wipe = async (): Promise<void> => {
      expect((await server.ctl('eval', all)).stdout).toContain('gone')
    }
    return { server, wipe }
  },
} as const

describe.each(['redis', 'rabbitmq'] as const)('wake-ups through %s', (name) => {
  let server: QueueServer
  let wipe: () => Promise<void>
  let world: World
  let other: World
  beforeAll(async () => {
    ;({ server, wipe } = await SERVERS[name]())
    world = await World.make('wakeups')
    other = await World.make('wakeups')
  })
  afterAll(async () => {
    await Promise.all([world.clear(), other.clear()])
    await server.remove()
  })
  const ends: (() => void)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0)) end()
    await Promise.all(open.splice(0))
  })
  const open: Promise<void>[] = []

  /** Opens the record as a process of its own would, with a connection of its own, until the test is over. */
  async function opened(
    mode: ClusterOptions['mode'],
    options: { readonly where?: World; readonly tuning?: ClusterOptions['tuning']; warnings?: MusterError[] } = {},
  ): Promise<Cluster> {
    const { where = world, tuning, warnings = [] } = options
    return new Promise((resolve, reject) => {
      const using = where.here(
        mode,
        async (cluster) => {
          resolve(cluster)
          await new Promise<void>((end) => ends.push(end))
        },
        { backend: server.url, onWarning: (warning) => warnings.push(warning), ...(tuning && { tuning }) },
      )
      open.push(using.catch(reject))
    })
  }

  /** Waits until this cluster leads and its machine takes jobs: its first job ran. */
  async function leads(cluster: Cluster): Promise<void> {
    const job = await cluster.submit(script('true'))
    expect((await job.wait()).state).toBe('completed')
  }

  /** Submits a job and says how long it waited for its start, milliseconds. */
  async function delayOf(cluster: Cluster): Promise<number> {
    const began = performance.now()
    const job = await cluster.submit(script('true'))
    expect(performance.now() - began).toBeLessThan(500)
    expect((await job.wait()).state).toBe('completed')
    const { createdAt, startedAt } = await cluster.getJobStatus(job.id)
    return (startedAt ?? Infinity) - createdAt
  }

  it('a submit in another process starts at once; a second record on the same server hears nothing of it', async () => {
    const [leader, stranger] = [
      await opened('lead', { tuning: DEAF }),
      await opened('lead', { where: other, tuning: DEAF }),
    ]
    await Promise.all([leads(leader), leads(stranger)])
    const [here, there] = [await opened('off'), await opened('off', { where: other })]
    for (let n = 0; n < 5; n += 1)
      for (const cluster of [here, there])
        expect((await (await cluster.submit(script('true'))).wait()).state).toBe('completed')
  })

  it('a process that only stands by takes no wake-up of the one that leads', async () => {
    const leader = await opened('lead', { tuning: DEAF })
    await leads(leader)
    await opened('lead', { tuning: DEAF })
    const submitter = await opened('off')
    for (let n = 0; n < 10; n += 1)
      expect((await (await submitter.submit(script('true'))).wait()).state).toBe('completed')
  })

  it('P4 while the server is down a submit neither waits nor fails, its job starts within a second, and one warning says so; up again, or emptied, it is used again', async () => {
    const warnings: MusterError[] = []
    const leader = await opened('lead', { tuning: SWEEPS })
    await leads(leader)
    const submitter = await opened('off', { warnings })
    expect(await delayOf(submitter)).toBeLessThan(AT_ONCE_MS)
    await server.kill()
    try {
      for (let n = 0; n < 3; n += 1) expect(await delayOf(submitter)).toBeLessThan(2_000)
      await expect.poll(() => warnings.map(({ code }) => code), PATIENT).toEqual(['BACKEND_UNAVAILABLE'])
      expect(warnings[0]?.message).toMatch(/^wake-ups do not get through \(.+\): nothing is lost/)
    } finally {
      await server.start()
    }
    // Both sides connect again by themselves: three in a row that the sweep alone would have let wait.
    const three = async (): Promise<number> => {
      let worst = 0
      for (let n = 0; n < 3; n += 1) worst = Math.max(worst, await delayOf(submitter))
      return worst
    }
    await expect.poll(three, { timeout: 30_000 }).toBeLessThan(AT_ONCE_MS)
    expect(warnings).toHaveLength(1)

    await wipe()
    expect(await delayOf(submitter)).toBeLessThan(2_000)
    await expect.poll(three, { timeout: 30_000 }).toBeLessThan(AT_ONCE_MS)
  })

  it('P4 a server that hangs holds up neither a submit nor a close', async () => {
    const leader = await opened('lead')
    await leads(leader)
    const submitter = await opened('off')
    await server.pause()
    try {
      expect(await delayOf(submitter)).toBeLessThan(2_000)
      const closing = performance.now()
      for (const end of ends.splice(0)) end()
      await Promise.all(open.splice(0))
      expect(performance.now() - closing).toBeLessThan(CLOSED_MS)
    } finally {
      await server.unpause()
    }
  })
})
