/**
 * Changing house with a thousand jobs in flight, as docs/switching-backends.md says: stop, change the line, start. In every direction: the
 * way from local over Redis and RabbitMQ and back takes each of the six once.
 */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { command, open } from '@muster/sdk'
import { startRabbit, startRedis, type QueueServer, type RabbitServer } from '@muster/testing/servers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Controller, ManyJobs } from './many.js'
import { Place } from './place.js'

const JOBS = 1_000
const WAY = ['local', 'redis', 'rabbitmq', 'local', 'rabbitmq', 'redis', 'local'] as const

// The file alone says which backend it is.
delete process.env['MUSTER_BACKEND']
process.env['MUSTER_BACKEND_PASSWORD'] = 'muster'

let redis: QueueServer
let rabbit: RabbitServer
let place: Place
let controller: Controller | undefined
beforeAll(async () => {
  ;[redis, rabbit, place] = await Promise.all([startRedis(), startRabbit(), Place.make()])
})
afterAll(async () => {
  await controller?.kill()
  await Promise.all([place.close(), redis.remove(), rabbit.remove()])
})

/** The line of muster.yaml that is changed. */
const LINES = {
  local: () => 'backend: local',
  redis: () => `backend: ${redis.url}`,
  rabbitmq: () => {
    const url = `amqp://muster@${rabbit.host}:${rabbit.port}`
    return `backend: { url: '${url}', passwordEnv: MUSTER_BACKEND_PASSWORD }`
  },
} as const

async function moveTo(backend: (typeof WAY)[number]): Promise<void> {
  const machine = `{ name: local, transport: local, cpus: 6, stateDir: ${join(place.root, 'machine')} }`
  const text = [LINES[backend](), 'store: sqlite:jobs.db', `machines: [${machine}]`, ''].join('\n')
  await writeFile(join(place.root, 'muster.yaml'), text, { mode: 0o600 })
}

test(
  '1,000 jobs in flight move from house to house in every direction; every job ends, each ran once, and what ran goes on',
  { timeout: 300_000 },
  async () => {
    const cwd = place.root
    const jobs = new ManyJobs(cwd)
    const go = join(cwd, 'go')
    let long = ''
    for (const [leg, backend] of WAY.entries()) {
      await moveTo(backend)
      controller = new Controller({ cwd })
      await controller.leading
      await using submitter = await open({ cwd, schedule: false })
      expect(submitter.orchestrator.capabilities.name).toBe(backend)
      if (leg === 0) {
        long = (await submitter.submit(command({ run: `while [ ! -e ${go} ]; do sleep 0.05; done` }), { priority: 9 }))
          .id
        await jobs.submit(submitter, JOBS)
      }
      // Submitted here, and run in this house or in the next.
      await jobs.submit(submitter, 10)
      await jobs.untilRan((await jobs.ran()).length + 40)
      const last = leg === WAY.length - 1
      if (!last) {
        const { jobs: waiting } = await submitter.jobs.listJobs({ state: 'queued' }, { limit: 1_000 })
        expect(waiting.length).toBeGreaterThan(JOBS / 4)
        await controller.stop()
      } else await writeFile(go, '')
    }
    await using reader = await open({ cwd, schedule: false })
    await jobs.allOnce(reader)
    expect(existsSync(go)).toBe(true)
    expect(await reader.jobs.getJob(long)).toMatchObject({ state: 'completed', attempt: 1 })
    await controller?.stop()
  },
)
