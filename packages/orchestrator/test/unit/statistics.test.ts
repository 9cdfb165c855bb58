/** Events and statistics: each thing is told once, in order, and figures are of the last minutes. */
import { silentLogger } from '@muster/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Events } from '../../src/events.js'
import { Histogram, percentiles } from '../../src/histogram.js'
import { QueueTally } from '../../src/statistics.js'
import { empty, eventually, start } from './kit.js'
import { ManualClock } from './manual-clock.js'

test('the life of messages as events, each once', async () => {
  const { q } = await start()
  const told: string[] = []
  for (const name of ['published', 'delivered', 'settled', 'retried', 'dead', 'paused', 'resumed'] as const)
    q.on(name, (event) => told.push(`${name} ${'id' in event ? event.id : event.queue}`))
  await q.pause('q')
  await q.publish('q', 'fine', { id: 'a', priority: 9 })
  await q.publishMany('q', [
    { body: 'fails', id: 'b' },
    { body: 'fine', id: 'a' },
  ])
  q.consume(
    'q',
    ({ body }) => {
      if (body === 'fails') throw new Error('no')
    },
    { retry: { firstMs: 0 } },
  )
  await q.resume('q')
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject({ ...empty, dead: 1 }))
  expect(told).toEqual([
    ...['paused q', 'published a', 'published b', 'published a', 'resumed q', 'delivered a', 'settled a'],
    ...['delivered b', 'retried b', 'delivered b', 'retried b', 'delivered b', 'dead b'],
  ])
})

test('a listener hears until it is removed; one that throws harms nobody; one added twice hears twice', () => {
  const events = new Events(silentLogger)
  const heard: string[] = []
  const hear = ({ queue }: { queue: string }): void => void heard.push(queue)
  expect(events.wants('paused')).toBe(false)
  events.on('paused', () => {
    throw new Error('a listener')
  })
  const [first, second] = [events.on('paused', hear), events.on('paused', hear)]
  events.emit('paused', { queue: 'a' })
  first()
  first()
  events.emit('paused', { queue: 'b' })
  second()
  events.emit('paused', { queue: 'c' })
  expect(heard).toEqual(['a', 'a', 'b'])
})

test('stats: how full, how many went which way, how long they waited and ran', async () => {
  const { q } = await start()
  await q.publishMany('q', [{ body: 'ack' }, { body: 'dead' }, { body: 'release' }, { body: 'retry' }])
  expect(await q.stats('q')).toMatchObject({ ready: 4, paused: false, waitingMs: undefined, runningMs: undefined })
  for (const verb of ['ack', 'dead', 'release', 'retry'] as const) {
    const delivery = await q.receiveMessage('q')
    if (verb === 'dead') await delivery?.dead('no')
    else if (verb === 'retry') await delivery?.retry({ delayMs: 60_000 })
    else await delivery?.[verb]()
  }
  const stats = await q.stats('q')
  expect(stats).toMatchObject({ ready: 1, delayed: 1, dead: 1 })
  expect(stats.totals).toEqual({ published: 4, delivered: 4, acked: 1, retried: 1, released: 1, dead: 1, lost: 0 })
  expect(stats.perSecond.delivered).toBeGreaterThan(0)
  expect(stats.runningMs?.p50).toBeGreaterThan(0)
  expect(stats.waitingMs?.max).toBeGreaterThanOrEqual(stats.waitingMs?.p50 ?? Infinity)
})

test('rates and percentiles are of the last one to two minutes, and a quiet queue becomes quiet', () => {
  const clock = new ManualClock()
  const tally = new QueueTally(clock)
  const pass = (times: number, ms: number): void => {
    tally.count('acked', clock.monotonic(), times)
    tally.ran(ms)
  }
  pass(600, 10)
  clock.advance(60_000)
  pass(1_200, 1_000)
  expect(tally.read().perSecond.acked).toBe(30)
  clock.advance(30_000)
  expect(tally.read().perSecond.acked).toBe(20)
  expect(tally.read().runningMs?.p50).toBeLessThan(11)
  clock.advance(30_000)
  expect(tally.read().perSecond.acked).toBe(20)
  expect(tally.read().runningMs?.p50).toBeGreaterThan(990)
  clock.advance(300_000)
  expect(tally.read()).toMatchObject({ perSecond: { acked: 0 }, totals: { acked: 1_800 }, runningMs: undefined })
})

test('a percentile is at least the true one, and at most 1/32 and 10 microseconds more', () => {
  const ms = fc.double({ min: 0, max: 10_000_000, noNaN: true })
  fc.assert(
    fc.property(fc.array(ms, { minLength: 1, maxLength: 200 }), fc.integer({ min: 1, max: 100 }), (values, percent) => {
      const halves = [new Histogram(), new Histogram()]
      values.forEach((value, index) => halves[index % 2]?.record(value))
      const sorted = [...values].sort((a, b) => a - b)
      const truth = sorted[Math.max(0, Math.ceil((values.length * percent) / 100) - 1)] ?? 0
      const [found = NaN] = percentiles(halves, [percent]) ?? []
      expect(found).toBeGreaterThanOrEqual(truth)
      expect(found).toBeLessThanOrEqual(truth * (1 + 1 / 32) + 0.0101)
    }),
  )
})

test('durations beyond the range and below 0 are kept at its ends', () => {
  const histogram = new Histogram()
  for (const ms of [-5, 0, 1e12]) histogram.record(ms)
  expect(percentiles([histogram], [1, 100])).toEqual([0.01, expect.any(Number)])
  histogram.clear()
  expect(percentiles([histogram], [50])).toBeUndefined()
})
