/**
 * Consuming a queue: take as many as there are free slots, handle each, end each. Invariant: nothing is held that no handler is working on,
 * so a late priority overtakes all that waits, and closing has nothing to give back; and no handler begins on what another may have already.
 *
 * A handler that returns acknowledges; one that throws retries later. A slot is free again when its handler has ended and its settlement
 * has arrived. Nothing on this path makes a timer, a promise or a controller for a message unless its handler asks for one.
 */
import type { MusterError } from '@muster/core'
import type { z } from 'zod'
import type { ExtendOutcome, RawDelivery, Settlement } from './backend.js'
import { decodeChecked } from './body.js'
import { HeldDelivery, type Delivery, type Holder, type SettleSink } from './delivery.js'
import { Drain } from './drain.js'
import type { Engine } from './engine.js'
import { openIntake, type Intake } from './intake.js'
import { Leases } from './leases.js'
import { Ledger } from './ledger.js'
import type { CloseOptions, consumeOptions } from './options.js'
import type { KnownQueue } from './queue-definition.js'
import { pausesOf, wholeMs } from './retry-policy.js'
import { Settling } from './settling.js'
import type { Checked } from './standard-schema.js'
import { SUSPECT_CRASHES } from './suspects.js'

/** Handles one delivery. The signal is the delivery's own: it aborts when work on the message should stop. */
export type Handler<T> = (delivery: Delivery<T>, context: { readonly signal: AbortSignal }) => unknown

const LONGEST_REASON = 1_000

/** A standing consumer of one queue. Begins at once. */
export class Consumer implements Holder {
  readonly #handler: Handler<never>
  readonly #options: z.output<typeof consumeOptions>
  readonly #engine: Engine
  readonly #queue: KnownQueue
  readonly #ledger: Ledger
  readonly #leases: Leases
  readonly #settling: Settling
  readonly #intake: Intake
  readonly #drain: Drain
  readonly #pauseMs: (tries: number) => number
  /** What a backend handed out before a slot was free: those whose users settle long before their handler ends. */
  readonly #backlog: RawDelivery[] = []
  #active = 0
  #givingBack = 0
  #suspect: HeldDelivery | undefined
  #pulling = false

  /** `onEnded` hears when nothing comes any more, because asking again cannot help. */
  constructor(
    queue: KnownQueue,
    handler: Handler<never>,
    options: z.output<typeof consumeOptions>,
    engine: Engine,
    onEnded?: (error: MusterError) => void,
  ) {
    const { backend, clock, logger, random } = engine
    const { concurrency, leaseMs, keepAlive, timeoutMs = Infinity, retry, signal } = options
    this.#queue = queue
    this.#handler = handler
    this.#options = options
    this.#engine = engine
    const ledger = (this.#ledger = new Ledger(queue.name, engine))
    const pauses = pausesOf(typeof retry === 'function' ? queue.retry : (retry ?? queue.retry))
    this.#pauseMs = typeof retry === 'function' ? retry : (tries) => pauses(tries, random)
    this.#settling = new Settling(engine.settler, clock, ledger, (held) => this.#finish(held))
    this.#leases = new Leases({
      ...{ backend, clock, logger, leaseMs, timeoutMs },
      onLost: (held) => ledger.lost(held),
      onTimeout: (held) => ledger.timedOut(held, timeoutMs),
    })
    this.#drain = new Drain(clock, signal, {
      stop: () => this.#stop(),
      active: () => this.#active,
      interrupt: (why) => [...this.#leases].forEach((held) => held.interrupt(why(held))),
      abandon: () => [...this.#leases].forEach((held) => ledger.abandoned(held)),
      end: () => this.#leases.stop(),
    })
    this.#intake = openIntake({
      ...{ backend, clock, queue: queue.name, slots: concurrency, leaseMs, keepAlive },
      free: () => concurrency - this.#active,
      onDelivery: (raw) => this.#take(raw),
      onStalled: (error, retryInMs) => ledger.stalled(error, retryInMs),
      onRecovered: () => ledger.recovered(),
      onEnded: (error) => {
        ledger.ended(error)
        onEnded?.(error)
      },
    })
    this.#drain.watch()
    this.#intake.pull()
  }

  /** How many messages it holds. */
  get active(): number {
    return this.#active
  }

  /** Takes no more messages and resolves when the handlers under way have ended and settled. See {@link CloseOptions}. */
  close(options?: CloseOptions): Promise<void> {
    return this.#drain.close(options)
  }

  send(held: HeldDelivery, settlement: Settlement, sink: SettleSink): void {
    this.#settling.send(held, settlement, sink)
  }

  async extend(held: HeldDelivery, leaseMs: number): Promise<ExtendOutcome | undefined> {
    const asked = this.#engine.clock.monotonic()
    const [outcome] = await this.#engine.backend.extend([{ receipt: held.receipt, leaseMs }])
    if (outcome === 'extended') held.heldUntil(asked + leaseMs)
    return outcome
  }

  pauseMs(tries: number): number {
    return this.#pauseMs(tries)
  }

  watch(): void {
    // The leases watch all that is held.
  }

  #take(raw: RawDelivery): void {
    if (this.#active >= this.#options.concurrency && !this.#drain.begun) return void this.#backlog.push(raw)
    const held = new HeldDelivery<unknown>(raw, undefined, this, this.#engine.clock.monotonic())
    this.#active++
    this.#leases.add(held)
    if (this.#drain.begun) this.#giveBack(held)
    else if (raw.crashes >= SUSPECT_CRASHES) this.#isolate(held, raw)
    else this.#open(held, raw)
  }

  #open(held: HeldDelivery, raw: RawDelivery): void {
    try {
      const checked = decodeChecked(this.#queue.schema, raw)
      if (!(checked instanceof Promise)) return this.#begin(held, checked)
      checked.then(
        (late) => this.#begin(held, late),
        (error: unknown) => this.#failed(held, error),
      )
    } catch (error) {
      this.#failed(held, error)
    }
  }

  #begin(held: HeldDelivery, checked: Checked<unknown>): void {
    if (checked.refusal !== undefined) return this.#refuse(held, checked.refusal)
    if (held.lost || held.leaseUntil <= this.#engine.clock.monotonic()) return this.#tooLate(held)
    if (this.#drain.interrupted) return this.#giveBack(held)
    held.body = checked.value
    this.#ledger.delivered(held)
    this.#handle(held)
  }

  /** Its lease ended on the way here, or while its body was checked: another may have it, so no handler begins. */
  #tooLate(held: HeldDelivery): void {
    held.handling = false
    this.#ledger.lost(held)
    this.#settling.ended(held)
  }

  #handle(held: HeldDelivery): void {
    let result: unknown
    try {
      // The delivery is its own context: nothing is made for those who do not look at the signal.
      result = this.#handler(held as HeldDelivery<never>, held)
    } catch (error) {
      return this.#failed(held, error)
    }
    if (!isThenable(result)) return this.#succeeded(held)
    const promise = result instanceof Promise ? (result as Promise<unknown>) : Promise.resolve(result)
    promise.then(
      () => this.#succeeded(held),
      (error: unknown) => this.#failed(held, error),
    )
  }

  #succeeded(held: HeldDelivery): void {
    held.handling = false
    if (held.settled || held.lost) this.#settling.ended(held)
    else held.settle({ as: 'ack', receipt: held.receipt })
  }

  #failed(held: HeldDelivery, error: unknown): void {
    held.handling = false
    this.#ledger.failed(held, error)
    const cause = held.interruption?.code
    if (held.settled || held.lost) this.#settling.ended(held)
    else if (cause === 'DELIVERY_CANCELLED' || cause === 'CONSUMER_CLOSED') this.#giveBack(held)
    else {
      const why: unknown = cause === 'HANDLER_TIMEOUT' ? held.interruption : error
      const reason = (why instanceof Error ? why.message : String(why)).slice(0, LONGEST_REASON)
      held.settle({ as: 'retry', receipt: held.receipt, delayMs: this.#pauseBefore(held), reason })
    }
  }

  #refuse(held: HeldDelivery, refusal: string): void {
    held.handling = false
    this.#ledger.refused(held, refusal)
    held.settle({ as: 'dead', receipt: held.receipt, reason: refusal.slice(0, LONGEST_REASON) })
  }

  #giveBack(held: HeldDelivery): void {
    held.handling = false
    held.givenBack = true
    this.#givingBack++
    held.settle({ as: 'release', receipt: held.receipt })
  }

  /** The user's own function may throw; a message is retried all the same. */
  #pauseBefore(held: HeldDelivery): number {
    try {
      return wholeMs(this.#pauseMs(held.tries))
    } catch (error) {
      this.#engine.logger.error({ err: error, queue: this.#queue.name }, 'the function given as `retry` threw')
      return wholeMs(pausesOf(this.#queue.retry)(held.tries, this.#engine.random))
    }
  }

  /** One suspect at a time, and nothing more is taken beside it; any other goes back until it is its turn. */
  #isolate(held: HeldDelivery, raw: RawDelivery): void {
    const { suspects } = this.#engine
    const entered = suspects.enter(held, held.crashes)
    this.#intake.suspend()
    suspects.whenFree(() => this.#intake.resume())
    if (!entered) return this.#giveBack(held)
    this.#suspect = held
    // It begins when what came with it and goes back has gone.
    this.#openSuspect = () => this.#open(held, raw)
    queueMicrotask(() => this.#tryOpenSuspect())
  }

  #openSuspect: (() => void) | undefined
  #tryOpenSuspect(): void {
    if (this.#givingBack > 0) return
    const open = this.#openSuspect
    this.#openSuspect = undefined
    open?.()
  }

  /** Neither a handler nor a settlement of it is under way any more. */
  #finish(held: HeldDelivery): void {
    this.#leases.remove(held)
    this.#active--
    if (held.givenBack) {
      this.#givingBack--
      this.#tryOpenSuspect()
    }
    if (held === this.#suspect) {
      this.#suspect = undefined
      this.#engine.suspects.leave(held)
    }
    if (this.#active === 0) this.#drain.idle()
    if (!this.#pulling) {
      // Once for all that ended together: a receive for each would ask for one message at a time.
      this.#pulling = true
      queueMicrotask(this.#pull)
    }
  }

  readonly #pull = (): void => {
    this.#pulling = false
    while (this.#backlog.length > 0 && this.#active < this.#options.concurrency) {
      const raw = this.#backlog.shift()
      if (raw) this.#take(raw)
    }
    this.#intake.pull()
  }

  async #stop(): Promise<void> {
    await this.#intake.close()
    for (const raw of this.#backlog.splice(0)) this.#take(raw)
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
