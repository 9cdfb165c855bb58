/**
 * Receiving, our side of it: look, and where there is nothing stand in the row of those who wait. Invariant: what arrives for a receive that
 * has ended (aborted, or the backend closes) goes back uncounted, and its place in the row goes to the next.
 */
import { ENOUGH, TaskGroup } from '@muster/core'
import type { RawDelivery, ReceiveRequest } from '../../backend.js'
import { Claims, type Look } from './claims.js'
import type { Desk } from './desk.js'
import { Ends } from './ends.js'
import type { Ledger } from './receipts.js'
import { Stand } from './stand.js'

/** What a receiver stands on. */
export interface ReceiverDeps {
  readonly desk: Desk
  readonly ledger: Ledger
  /** Gives deliveries back uncounted. */
  readonly giveBack: (deliveries: readonly RawDelivery[]) => Promise<void>
}

/** How long the answer of a receive that is called off because its time is over may be on its way. */
const OVER_MS = 30
/** How long closing waits for a server that does not answer. */
const CLOSE_MS = 1_000

/** The receiver of one backend. */
export class Receiver {
  readonly #deps: ReceiverDeps
  readonly #claims: Claims
  readonly #stands = new Map<string, Stand>()
  /** Receives under way. */
  readonly #open = new Set<Ends>()
  /** Looks whose receive has ended. */
  readonly #stray = new TaskGroup(() => undefined)

  constructor(deps: ReceiverDeps) {
    this.#deps = deps
    this.#claims = new Claims(deps)
  }

  /** Up to `max` deliveries as soon as there is one. The request has been checked. */
  async receive(request: ReceiveRequest): Promise<readonly RawDelivery[]> {
    const { waitMs } = request
    const ends = new Ends(request, this.#deps.desk.clock)
    this.#open.add(ends)
    try {
      const first = await this.#look(request, ends)
      if (first === undefined) return ends.answer()
      if (first.deliveries.length > 0 || waitMs === 0) return first.deliveries
      ends.after(waitMs)
      return (await this.#wait(request, ends, first.dueMs)) ?? ends.answer()
    } finally {
      this.#open.delete(ends)
      ends.dispose()
    }
  }

  /** Who waits for messages of a queue looks again: something in this process has changed. */
  ring(queue: string): void {
    this.#stands.get(queue)?.ring()
  }

  /** Ends what waits with nothing, and resolves when nothing more will arrive. */
  async close(): Promise<void> {
    for (const ends of this.#open) ends.close()
    // Where the server does not answer, what stands there ends with its connection. The wait keeps the process alive, as the connection
    // on which the answer comes does not: it would end in the middle of its own close.
    const enough = new AbortController()
    const destroy = (): void => this.#destroy()
    void this.#deps.desk.clock.sleep(CLOSE_MS, { signal: enough.signal }).then(destroy, destroy)
    await this.#stray.settled()
    enough.abort(ENOUGH)
  }

  #destroy(): void {
    for (const stand of this.#stands.values()) stand.destroy()
  }

  /** Waits in the row; undefined where the receive ends with nothing. */
  async #wait(
    request: ReceiveRequest,
    ends: Ends,
    dueMs: number | undefined,
  ): Promise<readonly RawDelivery[] | undefined> {
    const stand = this.#stand(request.queue)
    const place = stand.queueUp()
    let standing: Promise<unknown> = Promise.resolve()
    try {
      if (dueMs !== undefined) stand.ringIn(dueMs)
      await Promise.race([ends.ended, place.first])
      while (ends.why === undefined) {
        const looking = stand.takeRing() ? this.#claims.take(request) : this.#claims.stand(stand, request, ends)
        standing = looking
        const look = await this.#unlessEnded(looking, ends, stand)
        if (look === undefined) return undefined
        if (look.deliveries.length > 0) return look.deliveries
        if (look.dueMs !== undefined) stand.ringIn(look.dueMs)
      }
      return undefined
    } finally {
      void standing.then(place.leave, place.leave)
    }
  }

  /** What a look of one who waits brings; undefined where the receive ends before: then what was found goes back. */
  async #unlessEnded(looking: Promise<Look>, ends: Ends, stand: Stand): Promise<Look | undefined> {
    await Promise.race([looking, ends.ended])
    if (ends.why === undefined) return looking
    stand.callOff()
    const look = ends.why === 'over' ? await Promise.race([looking, ends.pause(OVER_MS)]) : undefined
    if (look === undefined) this.#stray.run(async () => this.#deps.giveBack((await looking).deliveries))
    return look
  }

  /** Looks once; undefined where the receive ends meanwhile: then what was found goes back. Time that runs out lets a look end. */
  async #look(request: ReceiveRequest, ends: Ends): Promise<Look | undefined> {
    const looking = this.#claims.take(request)
    await Promise.race([looking, ends.cut])
    if (ends.why === undefined || ends.why === 'over') return looking
    this.#stray.run(async () => this.#deps.giveBack((await looking).deliveries))
    return undefined
  }

  #stand(queue: string): Stand {
    const claims = this.#claims
    const { desk } = this.#deps
    let stand = this.#stands.get(queue)
    if (stand === undefined) {
      const keys = desk.keys(queue)
      const wake = keys.key('wake')
      const knock = keys.once(claims.slot)
      stand = new Stand({
        clock: desk.clock,
        keys: [knock, wake],
        dial: () => desk.server.listen(wake),
        knock: (off) => claims.knock(queue, off),
        clear: () => desk.server.command('del', knock),
        onIdle: () => void this.#stands.delete(queue),
      })
      this.#stands.set(queue, stand)
    }
    return stand
  }
}
