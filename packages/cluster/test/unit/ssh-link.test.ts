/** The pause after failed connections: it grows to a limit, differs by chance, and who asks meanwhile is answered at once. */
import { MusterError, silentLogger } from '@muster/core'
import { expect, test } from 'vitest'
import { Link } from '../../src/machines/ssh/link.js'
import { movedClock } from '../integration/moved-clock.js'

/** Nobody listens at port 1 of this host. */
const NOBODY = {
  destination: 'nobody@127.0.0.1:1',
  configFile: null,
  knownHostsFiles: [],
  agent: false,
  fingerprint: `SHA256:${'A'.repeat(43)}`,
} as const

const failureOf = (link: Link): Promise<unknown> => link.connection().catch((error: unknown) => error)

async function pauses(random: () => number, count: number): Promise<number[]> {
  const { clock, pass } = movedClock()
  const link = new Link(NOBODY, { clock, logger: silentLogger, random })
  const found: number[] = []
  let last = await failureOf(link)
  for (let n = 0; n < count; n += 1) {
    const began = clock.monotonic()
    const step = Math.max(1, Math.floor(125 * 2 ** n * 0.1))
    let next = last
    // A failure that is another one comes from another try.
    while (next === last) {
      pass(step)
      next = await failureOf(link)
    }
    found.push(clock.monotonic() - began)
    last = next
  }
  await link.close()
  return found
}

test('a failure is typed, and the same until the pause is over', async () => {
  const { clock, pass } = movedClock()
  const link = new Link(NOBODY, { clock, logger: silentLogger, random: () => 0.5 })
  const first = await failureOf(link)
  expect(first).toBeInstanceOf(MusterError)
  expect(first).toMatchObject({ code: 'SSH_CONNECT_FAILED', details: { reason: 'refused' }, retryable: true })
  pass(249)
  expect(await failureOf(link)).toBe(first)
  pass(1)
  expect(await failureOf(link)).not.toBe(first)
  await link.close()
  expect(await failureOf(link)).toMatchObject({ code: 'TRANSPORT_CLOSED' })
})

test('pauses double up to half a minute and are spread by chance', async () => {
  const middle = await pauses(() => 0.5, 9)
  const expected = [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]
  for (const [n, pause] of middle.entries()) {
    expect(pause).toBeGreaterThanOrEqual(expected[n] ?? 0)
    expect(pause).toBeLessThanOrEqual((expected[n] ?? 0) * 1.15)
  }
  const [shortest = 0] = await pauses(() => 0, 1)
  const [longest = 0] = await pauses(() => 0.999, 1)
  expect(shortest).toBeLessThan(140)
  expect(longest).toBeGreaterThan(370)
})

test('who asks while it connects waits for the same try', async () => {
  const link = new Link(NOBODY, { clock: movedClock().clock, logger: silentLogger })
  const [one, other] = await Promise.all([failureOf(link), failureOf(link)])
  expect(one).toBe(other)
})
