/**
 * Conformance item 33: random operations from a seed, and a checker that follows the history of every message. It keeps a model of its own (who holds
 * what, with which counts) and compares each answer with it: a message lost, handed out twice, or touched by an old receipt
 * shows at the operation that did it. A lease that runs out is the fault that one process can make at random.
 */
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RawDelivery, Settlement } from '@muster/orchestrator'
import { expect, test } from 'vitest'
import { bench, bytes, crashesFit, seeded, type Bench, type QueueBackendFactory } from './kit.js'

const OPERATIONS = 1_000
const MAX_TRIES = 3
/** With this seed some runs left a message out with nobody, others did not: an acknowledgement had overtaken the cancel of a consumer. */
const LEFT_ONE_OUT = 3_501_588_906

/** What the checker believes of one message. */
interface Belief {
  tries: number
  crashes: number
  acked: boolean
  /** The delivery that may settle it, and when its lease ends at the earliest. */
  holder: { readonly delivery: RawDelivery; until: number } | undefined
}

class Checker {
  readonly #b: Bench
  readonly #factory: QueueBackendFactory
  readonly #random: () => number
  readonly #beliefs = new Map<string, Belief>()
  readonly #unsettled: RawDelivery[] = []
  readonly #settled: RawDelivery[] = []
  readonly figures = { published: 0, delivered: 0, acked: 0, expired: 0, refused: 0, cleaned: 0, dead: 0 }

  constructor(b: Bench, factory: QueueBackendFactory, random: () => number) {
    this.#b = b
    this.#factory = factory
    this.#random = random
  }

  async run(): Promise<void> {
    await this.#b.backend.declare(this.#b.queue, { maxTries: MAX_TRIES })
    const steps = [
      ...Array<() => Promise<void>>(5).fill(() => this.#publish()),
      ...Array<() => Promise<void>>(6).fill(async () => {
        await this.#receive(this.#int(5, 40), 0)
      }),
      ...Array<() => Promise<void>>(8).fill(() => this.#settle()),
      ...Array<() => Promise<void>>(3).fill(() => sleep(this.#int(0, 6))),
      () => this.#settleAgain(),
      () => this.#extend(),
      () => this.#redrive(),
      async () => void (this.figures.cleaned += await this.#b.backend.clean(this.#b.queue, { limit: this.#int(1, 2) })),
      () => this.#b.backend.setPaused(this.#b.queue, this.#random() < 0.3),
    ]
    for (let n = 0; n < OPERATIONS; n++) await this.#pick(steps)?.()
    await this.#drain()
  }

  async #publish(): Promise<void> {
    const batch = Array.from({ length: this.#int(1, 5) }, () => ({
      body: bytes('x'.repeat(this.#int(0, 40))),
      delayMs: this.#random() < 0.3 ? this.#int(1, 25) : 0,
      priority: 5,
    }))
    for (const { id, status } of await this.#b.backend.publish(this.#b.queue, batch)) {
      expect(status).toBe('accepted')
      this.#beliefs.set(id, { tries: 0, crashes: 0, acked: false, holder: undefined })
      this.figures.published++
    }
  }

  async #receive(leaseMs: number, waitMs: number): Promise<number> {
    const deliveries = await this.#b.receive({ max: this.#int(1, 8), leaseMs, waitMs })
    for (const delivery of deliveries) {
      const belief = this.#belief(delivery)
      expect(belief.acked, 'delivered after it was acknowledged').toBe(false)
      if (belief.holder) this.#expired(belief, belief.holder.until)
      expect(delivery.tries).toBe(belief.tries)
      expect(delivery.crashes).toSatisfy((counted: number) => crashesFit(this.#factory, counted, belief.crashes))
      belief.holder = { delivery, until: delivery.leaseUntil }
      this.#unsettled.push(delivery)
      this.figures.delivered++
    }
    return deliveries.length
  }

  async #settle(): Promise<void> {
    const delivery = this.#draw(this.#unsettled)
    if (delivery === undefined) return
    const { receipt } = delivery
    const ways: Settlement[] = [
      { as: 'ack', receipt },
      { as: 'ack', receipt },
      { as: 'release', receipt },
      { as: 'retry', delayMs: this.#int(0, 15), receipt },
      { as: 'dead', reason: 'chance', receipt },
    ]
    const how = this.#pick(ways) ?? { as: 'ack', receipt }
    const [outcome] = await this.#b.backend.settle([how])
    const belief = this.#belief(delivery)
    if (outcome === 'lease-lost') {
      this.figures.refused++
      if (belief.holder?.delivery === delivery) this.#expired(belief, belief.holder.until)
      return
    }
    expect(belief.holder?.delivery, `${how.as} of an old receipt answered ${outcome}`).toBe(delivery)
    belief.holder = undefined
    this.#settled.push(delivery)
    if (how.as === 'ack') this.figures.acked++
    if (how.as === 'ack') belief.acked = true
    if (how.as === 'retry') belief.tries++
    const dies = how.as === 'dead' || (how.as === 'retry' && belief.tries === MAX_TRIES)
    expect(outcome).toBe(dies ? 'dead' : 'settled')
  }

  async #settleAgain(): Promise<void> {
    const delivery = this.#pick(this.#settled)
    if (delivery === undefined) return
    expect(await this.#b.settle(delivery, { as: 'ack' })).toBe('already-settled')
  }

  async #extend(): Promise<void> {
    const delivery = this.#pick(this.#unsettled)
    if (delivery === undefined) return
    const asked = performance.now()
    const leaseMs = this.#int(5, 40)
    const [outcome] = await this.#b.backend.extend([{ receipt: delivery.receipt, leaseMs }])
    const belief = this.#belief(delivery)
    if (outcome === 'extended') expect(belief.holder?.delivery, 'an old receipt was extended').toBe(delivery)
    if (belief.holder?.delivery !== delivery) return
    if (outcome === 'extended') belief.holder.until = asked + leaseMs
    else this.#expired(belief, belief.holder.until)
  }

  async #redrive(): Promise<void> {
    const { letters } = await this.#b.backend.browseDead(this.#b.queue, { limit: this.#int(1, 2) })
    // One may die between the two calls, by a lease that ran out: it joins the end, so those that were seen are the first.
    if (letters.length === 0) return
    expect(await this.#b.backend.redrive(this.#b.queue, { limit: letters.length })).toBe(letters.length)
    for (const letter of letters) Object.assign(this.#belief(letter), { tries: 0, crashes: 0, holder: undefined })
  }

  /** Ends everything and compares the sums: what was accepted is acknowledged, dead, or was cleaned. */
  async #drain(): Promise<void> {
    await this.#b.backend.setPaused(this.#b.queue, false)
    const settleAll = async (): Promise<void> => {
      while (this.#unsettled.length > 0) await this.#settle()
    }
    do await settleAll()
    while ((await this.#receive(10_000, 500)) > 0)
    const { letters } = await this.#b.backend.browseDead(this.#b.queue, { limit: this.figures.published + 1 })
    this.figures.dead = letters.length
    for (const letter of letters) expect(this.#belief(letter).acked, 'dead after it was acknowledged').toBe(false)
    expect(await this.#b.backend.counts(this.#b.queue)).toMatchObject({ ready: 0, dead: letters.length })
    const { published, acked, dead, cleaned } = this.figures
    expect(acked + dead + cleaned, 'lost messages').toBe(published)
  }

  /** A lease was found to have ended: never before its time. */
  #expired(belief: Belief, until: number): void {
    expect(performance.now(), 'a lease ended early').toBeGreaterThanOrEqual(until)
    belief.holder = undefined
    belief.crashes++
    this.figures.expired++
  }

  #belief({ id }: { readonly id: string }): Belief {
    const belief = this.#beliefs.get(id)
    if (belief === undefined) return expect.fail(`a message that nobody published: ${id}`)
    return belief
  }

  #int(min: number, max: number): number {
    return min + Math.floor(this.#random() * (max - min + 1))
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#random() * items.length)]
  }

  #draw<T>(items: T[]): T | undefined {
    return items.splice(Math.floor(this.#random() * items.length), 1)[0]
  }
}

/** Proves item 33 for one process. `MUSTER_SEED` repeats a run. */
export function historySection(factory: QueueBackendFactory): void {
  const given = process.env['MUSTER_SEED']
  const seeds = given === undefined ? [7, LEFT_ONE_OUT, Math.floor(Math.random() * 2 ** 32)] : [Number(given)]
  test.each(seeds)(
    `33 ${OPERATIONS} random operations lose nothing and obey no old receipt (seed %d)`,
    { timeout: 60_000 },
    async (seed) => {
      const checker = new Checker(await bench(factory), factory, seeded(seed))
      await checker.run()
      expect(checker.figures).toMatchObject({ published: expect.any(Number) as number })
      console.info(`history of ${factory.name}, seed ${seed}:`, JSON.stringify(checker.figures))
    },
  )
}
