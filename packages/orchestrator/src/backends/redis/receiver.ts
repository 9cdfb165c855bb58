/**
 * Receiving, our side of it: look, and where there is nothing sit down by the queue's bell. Invariant: what arrives for a receive that has
 * ended (aborted, or the backend closes) goes back uncounted, and its place by the bell goes to the next.
 */
import { ENOUGH, TaskGroup, abortReason } from '@muster/core'
import type { RawDelivery, ReceiveRequest } from '../../backend.js'
import { Bell } from './bell.js'
import type { Connection } from './connection.js'
import type { Desk } from './desk.js'
import { POKE } from './maintain.js'
import { RECEIVE, handedOut, type ReceiveReply } from './receive.js'
import { Hold, type Ledger } from './receipts.js'

/** What a receiver stands on. */
export interface ReceiverDeps {
  readonly desk: Desk
  readonly ledger: Ledger
  /** A connection for blocking reads. */
  readonly dial: () => Promise<Connection>
  /** Gives deliveries back uncounted. */
  readonly giveBack: (deliveries: readonly RawDelivery[]) => Promise<void>
}

interface Look {
  readonly deliveries: readonly RawDelivery[]
  /** When something may be due; undefined: nobody knows of anything. */
  readonly dueMs: number | undefined
}
type End = 'aborted' | 'over' | 'closed'

/** The receiver of one backend. */
export class Receiver {
  readonly #deps: ReceiverDeps
  readonly #bells = new Map<string, Bell>()
  readonly #closing = new AbortController()
  /** Looks whose receive has ended. */
  readonly #stray = new TaskGroup(() => undefined)

  constructor(deps: ReceiverDeps) {
    this.#deps = deps
  }

  /** Up to `max` deliveries as soon as there is one. The request has been checked. */
  async receive(request: ReceiveRequest): Promise<readonly RawDelivery[]> {
    const { signal, waitMs, keepAlive = true } = request
    const { clock } = this.#deps.desk
    const timer = new AbortController()
    const end = new Promise<End>((resolve) => {
      signal?.addEventListener('abort', () => resolve('aborted'), { once: true, signal: timer.signal })
      this.#closing.signal.addEventListener('abort', () => resolve('closed'), { once: true, signal: timer.signal })
      if (waitMs === 0) return
      const over = (): void => resolve('over')
      clock.sleep(waitMs, { signal: timer.signal, unref: !keepAlive }).then(over, over)
    })
    try {
      const first = await this.#look(request, end, waitMs === 0)
      if (typeof first !== 'string' && (first.deliveries.length > 0 || waitMs === 0)) return first.deliveries
      const found = typeof first === 'string' ? first : await this.#wait(request, end, first.dueMs)
      if (typeof found !== 'string') return found
      if (found === 'aborted' && signal) throw abortReason(signal)
      return []
    } finally {
      timer.abort(ENOUGH)
    }
  }

  /** Rings the bell of a queue: something in this process has changed. */
  ring(queue: string): void {
    this.#bells.get(queue)?.ring()
  }

  /** Ends what waits with nothing, and resolves when nothing more will arrive. */
  async close(): Promise<void> {
    this.#closing.abort(ENOUGH)
    await Promise.all([...this.#bells.values()].map((bell) => bell.close()))
    await this.#stray.settled()
  }

  async #wait(
    request: ReceiveRequest,
    end: Promise<End>,
    dueMs: number | undefined,
  ): Promise<readonly RawDelivery[] | End> {
    const bell = this.#bell(request.queue)
    const seat = bell.sit()
    let served = false
    try {
      if (dueMs !== undefined) bell.lookIn(dueMs)
      for (;;) {
        const ended = await Promise.race([end, seat.rung()])
        if (ended !== undefined) return ended
        const look = await this.#look(request, end, false)
        if (typeof look === 'string') return look
        served = look.deliveries.length > 0
        if (served) return look.deliveries
        if (look.dueMs !== undefined) bell.lookIn(look.dueMs)
      }
    } finally {
      bell.leave(seat, served)
    }
  }

  /** Looks once. Where the receive ends meanwhile, what was found goes back. */
  async #look(request: ReceiveRequest, end: Promise<End>, patient: boolean): Promise<Look | End> {
    const looking = this.#claim(request)
    // One that looks once has no time to be over; any other has, but what a look finds just then still counts.
    const ended = await Promise.race([looking, end])
    if (typeof ended !== 'string') return ended
    if (ended === 'over' && !patient) return looking
    this.#stray.run(async () => this.#deps.giveBack((await looking).deliveries))
    return ended
  }

  async #claim({ queue, max, leaseMs }: ReceiveRequest): Promise<Look> {
    const { desk, ledger } = this.#deps
    const { clock, instance, link } = desk
    const fence = `${instance}${desk.nextCall()}`
    const leaseUntil = clock.monotonic() + leaseMs
    const fixed = [String(max), fence, String(leaseMs), ledger.holdsSuspect(queue, clock.monotonic()) ? '0' : '1']
    const reply = await link.run(RECEIVE, desk.keys(queue), (repeated) => [...fixed, repeated ? '1' : '0'])
    const [dueMs] = reply as ReceiveReply
    const deliveries = handedOut(reply as ReceiveReply).map((message): RawDelivery => {
      const { id, crashes } = message
      const receipt = new Hold(ledger, { queue, id, fence, crashes, leaseUntil })
      ledger.add(receipt)
      return { ...message, leaseUntil, receipt }
    })
    return { deliveries, dueMs: dueMs < 0 ? undefined : dueMs }
  }

  #bell(queue: string): Bell {
    const { desk, dial } = this.#deps
    let bell = this.#bells.get(queue)
    if (bell === undefined) {
      const keys = desk.keys(queue)
      const poke = async (): Promise<void> => {
        await desk.link.run(POKE, keys, () => [])
      }
      bell = new Bell({ clock: desk.clock, key: keys.key('wake'), dial, poke })
      this.#bells.set(queue, bell)
    }
    return bell
  }
}
