/**
 * Receiving, our side of it: look, and where there is nothing sit down by the queue's bell. Invariant: what arrives for a receive that has
 * ended (aborted, or the backend closes) goes back uncounted, and its place by the bell goes to the next.
 */
import { TaskGroup } from '@muster/core'
import type { RawDelivery, ReceiveRequest } from '../../backend.js'
import { Bell } from './bell.js'
import type { Desk } from './desk.js'
import { Ends } from './ends.js'
import { POKE } from './maintain.js'
import { RECEIVE, eachHanded, type ReceiveReply } from './receive.js'
import { Hold, type Ledger } from './receipts.js'

/** What a receiver stands on. */
export interface ReceiverDeps {
  readonly desk: Desk
  readonly ledger: Ledger
  /** Gives deliveries back uncounted. */
  readonly giveBack: (deliveries: readonly RawDelivery[]) => Promise<void>
}

interface Look {
  readonly deliveries: readonly RawDelivery[]
  /** When something may be due; undefined: nobody knows of anything. */
  readonly dueMs: number | undefined
}
/** The receiver of one backend. */
export class Receiver {
  readonly #deps: ReceiverDeps
  readonly #bells = new Map<string, Bell>()
  /** Receives under way. */
  readonly #open = new Set<Ends>()
  /** Looks whose receive has ended. */
  readonly #stray = new TaskGroup(() => undefined)

  constructor(deps: ReceiverDeps) {
    this.#deps = deps
  }

  /** Up to `max` deliveries as soon as there is one. The request has been checked. */
  async receive(request: ReceiveRequest): Promise<readonly RawDelivery[]> {
    const { signal, waitMs, keepAlive = true } = request
    const ends = new Ends(signal)
    this.#open.add(ends)
    try {
      const first = await this.#look(request, ends)
      if (first === undefined) return ends.answer()
      if (first.deliveries.length > 0 || waitMs === 0) return first.deliveries
      ends.after(waitMs, keepAlive, this.#deps.desk.clock)
      return (await this.#wait(request, ends, first.dueMs)) ?? ends.answer()
    } finally {
      this.#open.delete(ends)
      ends.dispose()
    }
  }

  /** Rings the bell of a queue: something in this process has changed. */
  ring(queue: string): void {
    this.#bells.get(queue)?.ring()
  }

  /** Ends what waits with nothing, and resolves when nothing more will arrive. */
  async close(): Promise<void> {
    for (const ends of this.#open) ends.close()
    await Promise.all([...this.#bells.values()].map((bell) => bell.close()))
    await this.#stray.settled()
  }

  /** Waits by the bell; undefined where the receive ends with nothing. */
  async #wait(
    request: ReceiveRequest,
    ends: Ends,
    dueMs: number | undefined,
  ): Promise<readonly RawDelivery[] | undefined> {
    const bell = this.#bell(request.queue)
    const seat = bell.sit()
    let served = false
    try {
      if (dueMs !== undefined) bell.lookIn(dueMs)
      for (;;) {
        await Promise.race([ends.ended, seat.rung()])
        if (ends.why !== undefined) return undefined
        seat.looks()
        const look = await this.#look(request, ends)
        if (look === undefined) return undefined
        served = look.deliveries.length > 0
        if (served) return look.deliveries
        if (look.dueMs !== undefined) bell.lookIn(look.dueMs)
      }
    } finally {
      bell.leave(seat, served)
    }
  }

  /** Looks once; undefined where the receive ends meanwhile: then what was found goes back. Time that runs out lets a look end. */
  async #look(request: ReceiveRequest, ends: Ends): Promise<Look | undefined> {
    const looking = this.#claim(request)
    await Promise.race([looking, ends.cut])
    if (ends.why === undefined || ends.why === 'over') return looking
    this.#stray.run(async () => this.#deps.giveBack((await looking).deliveries))
    return undefined
  }

  async #claim({ queue, max, leaseMs }: ReceiveRequest): Promise<Look> {
    const { desk, ledger } = this.#deps
    const { clock, instance, server } = desk
    const fence = `${instance}${desk.nextCall()}`
    const leaseUntil = clock.monotonic() + leaseMs
    const fixed = [String(max), fence, String(leaseMs), ledger.holdsSuspect(queue, clock.monotonic()) ? '0' : '1']
    const reply = await server.run(RECEIVE, desk.keys(queue), (repeated) => [...fixed, repeated ? '1' : '0'])
    const [dueMs] = reply as ReceiveReply
    const deliveries: RawDelivery[] = []
    eachHanded(reply as ReceiveReply, ({ id, body, priority, tries, crashes, publishedAt }) => {
      const receipt = new Hold(ledger, queue, id, fence, crashes, leaseUntil)
      ledger.add(receipt)
      deliveries.push({ id, body, priority, tries, crashes, publishedAt, leaseUntil, receipt })
    })
    return { deliveries, dueMs: dueMs < 0 ? undefined : dueMs }
  }

  #bell(queue: string): Bell {
    const { desk } = this.#deps
    let bell = this.#bells.get(queue)
    if (bell === undefined) {
      const keys = desk.keys(queue)
      const poke = async (): Promise<void> => {
        await desk.server.run(POKE, keys, () => [])
      }
      const key = keys.key('wake')
      const onIdle = (): void => void this.#bells.delete(queue)
      bell = new Bell({ clock: desk.clock, key, dial: () => desk.server.listen(key), poke, onIdle })
      this.#bells.set(queue, bell)
    }
    return bell
  }
}
