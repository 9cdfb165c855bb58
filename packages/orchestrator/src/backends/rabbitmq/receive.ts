/**
 * Receiving exactly what was asked for: a consumer is made for each call, with a prefetch of its demand, and cancelled when there is
 * something. The server's answer to the cancel is a fence: what was on its way has arrived then, so nothing is left in a buffer, and
 * whatever was not asked for stays in line, where a late priority overtakes it.
 *
 * Invariants: a message that comes redelivered (its holder vanished) is counted as crashed on the server before anybody gets it; what a call
 * cannot hand out any more goes back uncounted.
 */
import { abortReason, type Clock } from '@muster/core'
import type { RawDelivery, ReceiveRequest } from '../../backend.js'
import type { RabbitConfig } from './config.js'
import type { Desk } from './desk.js'
import { NOT_FOUND } from './errors.js'
import type { Held, Holdings } from './held.js'
import { Intake, type Arrival } from './intake.js'
import type { Line } from './line.js'
import type { Lines } from './lines.js'
import type { Link } from './link.js'
import type { Sorter } from './sorter.js'
import type { Signal } from './signal.js'
import type { Topology } from './topology.js'

/** What receiving stands on. */
export interface ReceiverDeps {
  readonly link: Link
  readonly desk: Desk
  readonly config: RabbitConfig
  readonly clock: Clock
  readonly lines: Lines
  readonly topology: Topology
  readonly holdings: Holdings
  readonly sorter: Sorter
  /** The backend closes: all waits end with nothing. */
  readonly closing: Signal
}

/** Idle channels that are kept for each queue. */
const MAX_IDLE = 4
/**
 * The server sends a channel about 200 messages (counted in steps of 50) before it waits until they have left; a cancel may come
 * between. Fewer than this are all that there were.
 */
const SURELY_ALL = 100
/** How long an abort waits for what must go back first. */
const GIVE_BACK_MS = 1_000

/** Carries out the receives of one backend. */
export class Receiver {
  readonly #deps: ReceiverDeps
  readonly #idle = new Map<Line, Intake[]>()
  #closing = false

  constructor(deps: ReceiverDeps) {
    this.#deps = deps
    deps.closing.on(() => (this.#closing = true))
  }

  /** Up to `max` deliveries. Throws AbortError, BACKEND_UNAVAILABLE. */
  async receive(line: Line, request: ReceiveRequest): Promise<readonly RawDelivery[]> {
    const { clock, lines } = this.#deps
    const until = clock.monotonic() + request.waitMs
    const stopWatching = request.waitMs > 0 ? lines.watch(line) : undefined
    try {
      if (!stopWatching) await lines.look(line)
      for (;;) {
        const leftMs = Math.max(0, until - clock.monotonic())
        const { deliveries, again } = await this.#once(line, request, leftMs)
        if (request.signal?.aborted && deliveries.length === 0) throw abortReason(request.signal)
        if (deliveries.length > 0 || this.#closing || (leftMs === 0 && !again)) return deliveries
      }
    } finally {
      stopWatching?.()
    }
  }

  async #once(
    line: Line,
    request: ReceiveRequest,
    leftMs: number,
  ): Promise<{ deliveries: readonly RawDelivery[]; again: boolean }> {
    if (line.paused) {
      if (leftMs > 0) await this.#wait(line, request, leftMs)
      return { deliveries: [], again: false }
    }
    await this.#deps.topology.declare(line)
    if (!line.suspectDue) return this.#handOut(line, request, this.#gather(line, request, leftMs))
    line.suspectOut = true
    const free = (): void => void (line.suspectOut = false)
    const found = await this.#handOut(line, request, this.#suspect(line), free).catch((error: unknown) => {
      free() // or this process would never look at a suspect again
      throw error
    })
    if (found.deliveries.length === 0) {
      if (!found.again) line.suspects = false
      free()
    }
    return { ...found, again: true }
  }

  /** What came, to the caller. `again`: it was none to hand out, but more may be there. */
  async #handOut(
    line: Line,
    request: ReceiveRequest,
    coming: Promise<readonly Arrival[]>,
    onEnd?: Held['onEnd'],
  ): Promise<{ deliveries: readonly RawDelivery[]; again: boolean }> {
    const arrivals = await line.track(coming)
    if (arrivals.length === 0) return { deliveries: [], again: false }
    const { fresh, done } = this.#deps.sorter.sort(line, arrivals)
    if (request.signal?.aborted || this.#closing) {
      await this.#soon(this.#deps.sorter.giveBack(line, fresh))
      return { deliveries: [], again: false }
    }
    // Only now: a second one of the batch may have become redelivered, but never one that somebody holds already.
    if (fresh.length === 0) await done
    const { holdings } = this.#deps
    const deliveries = fresh.map(({ envelope, arrival }) =>
      holdings.hand(line, envelope, arrival, request.leaseMs, onEnd),
    )
    return { deliveries, again: deliveries.length === 0 }
  }

  /** The first suspect, if there is one. */
  async #suspect(line: Line): Promise<readonly Arrival[]> {
    const intake = await this.#take(line)
    const arrival = await intake.get(line.names.suspect)
    if (intake.alive) await this.#keep(line, intake)
    else this.#deps.topology.forget(line)
    return arrival && intake.alive ? [arrival] : []
  }

  async #gather(line: Line, request: ReceiveRequest, leftMs: number): Promise<Arrival[]> {
    const { max } = request
    const arrivals: Arrival[] = []
    const quorum = this.#deps.config.queueKind === 'quorum'
    // What making a consumer takes (a quorum queue writes it down) is part of the wait.
    for (let until = this.#deps.clock.monotonic() + leftMs; ; until = 0) {
      const rest = max - arrivals.length
      const demand = quorum ? await this.#there(line, rest, until > 0 && leftMs > 0) : rest
      if (demand === 0) return arrivals
      const some = await this.#collect(line, request, demand, until)
      arrivals.push(...some)
      if (some.length < (quorum ? demand : SURELY_ALL) || arrivals.length === max) return arrivals
    }
  }

  /**
   * What a consumer of a quorum queue is to ask for: what is there, or one to wait for. It is full then when it ends, unless others were
   * quicker, and a full one is sent nothing in its last moment (see `Intake.cancel`).
   */
  async #there(line: Line, max: number, waits: boolean): Promise<number> {
    const ready = await this.#deps.desk.ask(
      `counting the queue '${line.name}'`,
      async (channel) => (await channel.checkQueue(line.names.main)).messageCount,
      { on: { [NOT_FOUND]: () => -1 } },
    )
    if (ready < 0) this.#deps.topology.forget(line)
    return Math.min(max, Math.max(ready, waits ? 1 : 0))
  }

  /** One consumer, from its begin to its end. */
  async #collect(line: Line, request: ReceiveRequest, max: number, until: number): Promise<Arrival[]> {
    const intake = await this.#take(line)
    const arrivals: Arrival[] = []
    let wake = (): void => undefined
    let deleted = false
    const consumer = await intake.consume(line.names.main, max, (arrival) => {
      if (arrival) arrivals.push(arrival)
      else deleted = true
      wake()
    })
    if (consumer === undefined) {
      this.#deps.topology.forget(line)
      return []
    }
    const stop = (onWake: () => void): void => {
      wake = onWake
      intake.onEnd = onWake
    }
    // The line may have changed while the consumer was made: nobody would wake this one any more.
    const stays = intake.alive && !deleted && !line.paused && !line.suspectDue
    const leftMs = until - this.#deps.clock.monotonic()
    if (leftMs > 0 && arrivals.length === 0 && stays) await this.#wait(line, request, leftMs, stop)
    if (deleted) this.#deps.topology.forget(line)
    if (arrivals.length < max && !deleted) {
      // The last one may come before the answer does; nobody then needs to wait for that.
      const full = new Promise<void>((resolve) => (wake = () => arrivals.length === max && resolve()))
      await Promise.race([this.#end(line, intake, consumer, false), full])
    } else void this.#end(line, intake, deleted ? undefined : consumer, true)
    intake.onEnd = undefined
    return intake.alive ? arrivals : []
  }

  async #end(line: Line, intake: Intake, consumer: string | undefined, full: boolean): Promise<void> {
    if (consumer !== undefined && !(await intake.cancel(consumer, full))) return
    await this.#keep(line, intake)
  }

  /** For the next call, where something is out on it or not many are kept. */
  async #keep(line: Line, intake: Intake): Promise<void> {
    const idle = this.#idle.get(line) ?? []
    this.#idle.set(line, idle)
    if (idle.length < MAX_IDLE || intake.size > 0) idle.push(intake)
    else await intake.close()
  }

  async #take(line: Line): Promise<Intake> {
    const idle = this.#idle.get(line) ?? []
    for (let intake = idle.pop(); intake; intake = idle.pop()) if (intake.alive) return intake
    return Intake.open(this.#deps)
  }

  /** Until time is up, the line changed, the call is aborted, the backend closes, or whatever `stop` is told to call. */
  #wait(
    line: Line,
    { signal }: ReceiveRequest,
    ms: number,
    stop: (onWake: () => void) => void = () => undefined,
  ): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        for (const undo of undos) undo()
        resolve()
      }
      signal?.addEventListener('abort', end, { once: true })
      const undos = [
        line.changed.on(end),
        this.#deps.closing.on(end),
        this.#deps.clock.after(Math.ceil(ms), end),
        () => signal?.removeEventListener('abort', end),
      ]
      stop(end)
      if (signal?.aborted || this.#closing) end()
    })
  }

  /** Waits for something that goes on by itself, but not for long: the caller wants to go. */
  #soon(work: Promise<unknown>): Promise<unknown> {
    return Promise.race([work, new Promise<void>((resolve) => this.#deps.clock.after(GIVE_BACK_MS, resolve))])
  }
}
