/**
 * From SIGKILL of a consumer to the start of the handler in another that was waiting: the message comes back by itself, on Redis when the
 * lease ends, on RabbitMQ when the server sees the connection close.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { absolute, printed, type Measured } from '../harness/result.js'
import { openOurs, type Ours } from './ours.js'
import { payload } from './payload.js'

const AT_ONCE = 5
const TIMES = 2
/** The lease of all consumers of this row; the victim extends it, as `consume` does by itself. */
export const LEASE_MS = 3_000
const VICTIM = fileURLToPath(new URL('victim.ts', import.meta.url))

/** The row of one backend, at this address; `barMs` is how long it may take. */
export async function kill(backend: string, url: string, barMs: number): Promise<readonly Measured[]> {
  const ours = await openOurs(url)
  const found: number[] = []
  try {
    for (let time = 0; time < TIMES; time += 1) {
      const queues = Array.from({ length: AT_ONCE }, (_, index) => `kill-${time}-${index}`)
      found.push(...(await Promise.all(queues.map((queue) => redelivery(ours, url, queue)))))
    }
  } finally {
    await ours.close()
  }
  const name = (what: string): string =>
    `${backend}: SIGKILL of a consumer to redelivery (lease ${LEASE_MS} ms), ${what} of ${found.length}`
  return [
    absolute(Math.max(...found), { name: name('worst'), unit: 'ms', sense: 'at most', bar: barMs }),
    printed(Math.min(...found), { name: name('best'), unit: 'ms' }),
  ]
}

async function redelivery(ours: Ours, url: string, queue: string): Promise<number> {
  await ours.queues.publish(queue, payload(1))
  const victim = await startVictim(url, queue)
  const again = new Promise<number>((resolve, reject) => {
    const consumer = ours.queues.consume(
      queue,
      ({ crashes }) => {
        if (crashes === 1) resolve(performance.now())
        else reject(new Error(`${queue}: delivered again after ${crashes} crashes`))
        void consumer.close()
      },
      { leaseMs: LEASE_MS },
    )
  })
  const died = once(victim, 'exit')
  const start = performance.now()
  victim.kill('SIGKILL')
  await died
  return (await again) - start
}

/** Starts a consumer in a process of its own; it holds the message when this resolves. */
async function startVictim(url: string, queue: string): Promise<ChildProcess> {
  const words = ['--import', 'tsx', VICTIM, url, queue]
  const victim = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] })
  try {
    await once(createInterface(victim.stdout), 'line', { signal: AbortSignal.timeout(30_000) })
    return victim
  } catch (error) {
    victim.kill('SIGKILL')
    throw error
  }
}
