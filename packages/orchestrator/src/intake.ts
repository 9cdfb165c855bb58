/**
 * How deliveries reach a consumer: through receives that overlap, or through a standing subscription where the backend offers one that
 * is faster. Invariant: never more is asked for than there are free slots, over all receives that are under way, so nothing is held that
 * no handler works on.
 *
 * One receive waits. While the queue gives as much as is asked for, a second one looks beside it, each for half the slots, so that
 * one half is on its way while the other is handled. A backend that fails is asked again after a pause that grows.
 */
import { ENOUGH, isMusterError, withoutJob, type Clock, type MusterError } from '@muster/core'
import type { QueueBackend, RawDelivery } from './backend.js'
import { MAX_RECEIVE } from './checks.js'

/** What an intake brings to its consumer, and what it asks of it. */
export interface IntakeDeps {
  readonly backend: QueueBackend
  readonly clock: Clock
  readonly queue: string
  readonly slots: number
  readonly leaseMs: number
  readonly keepAlive: boolean
  /** How many slots are free now. */
  readonly free: () => number
  readonly onDelivery: (raw: RawDelivery) => void
  /** Asked again in `retryInMs`. */
  readonly onStalled: (error: unknown, retryInMs: number) => void
  readonly onRecovered: () => void
  /** Asking again cannot help: nothing comes any more. */
  readonly onEnded: (error: MusterError) => void
}

/** A way in. */
export interface Intake {
  /** Slots became free. */
  pull(): void
  /** Asks for nothing more until `resume`; what is under way still comes. */
  suspend(): void
  resume(): void
  /** Resolves when nothing more comes. */
  close(): Promise<void>
}

const WAIT_MS = 20_000
const [PAUSE_MIN_MS, PAUSE_MAX_MS] = [100, 5_000]

/** The way in that is faster on this backend. */
export function openIntake(deps: IntakeDeps): Intake {
  return deps.backend.subscribe === undefined ? new Receives(deps) : new Subscription(deps)
}

/** Pauses that grow while a backend fails. */
class Pauses {
  readonly #deps: IntakeDeps
  #ms = 0

  constructor(deps: IntakeDeps) {
    this.#deps = deps
  }

  worked(): void {
    if (this.#ms === 0) return
    this.#ms = 0
    this.#deps.onRecovered()
  }

  /** Whether asking again can help: then after the pause. */
  async failed(error: unknown, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false
    if (isMusterError(error) && !error.retryable) {
      this.#deps.onEnded(error)
      return false
    }
    this.#ms = Math.min(Math.max(this.#ms * 2, PAUSE_MIN_MS), PAUSE_MAX_MS)
    this.#deps.onStalled(error, this.#ms)
    const sleep = this.#deps.clock.sleep(this.#ms, { signal, unref: !this.#deps.keepAlive })
    return sleep.then(
      () => true,
      () => false, // closed meanwhile
    )
  }
}

/** Receives that overlap. */
class Receives implements Intake {
  readonly #deps: IntakeDeps
  readonly #pauses: Pauses
  readonly #stop = new AbortController()
  #asked = 0
  #underWay = 0
  #plenty = false
  #resting = false
  #suspended = false
  #idle: (() => void) | undefined

  constructor(deps: IntakeDeps) {
    this.#deps = deps
    this.#pauses = new Pauses(deps)
  }

  pull(): void {
    while (this.#mayAsk() && this.#underWay < (this.#plenty ? 2 : 1)) {
      const share = this.#plenty ? Math.ceil(this.#deps.slots / 2) : this.#deps.slots
      const max = Math.min(this.#deps.free() - this.#asked, share, MAX_RECEIVE)
      if (max <= 0) return
      // A slot may have become free while somebody handled a job: that job's name is not lent to what comes.
      withoutJob(() => this.#receive(max))
    }
  }

  suspend(): void {
    this.#suspended = true
  }

  resume(): void {
    this.#suspended = false
    this.pull()
  }

  async close(): Promise<void> {
    this.#stop.abort(ENOUGH)
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#idle = resolve))
  }

  #mayAsk(): boolean {
    return !this.#resting && !this.#suspended && !this.#stop.signal.aborted
  }

  #receive(max: number): void {
    const waitMs = this.#underWay === 0 ? WAIT_MS : 0
    this.#asked += max
    this.#underWay++
    this.#ask(max, waitMs).then(
      (deliveries) => {
        this.#plenty = deliveries.length === max
        this.#answered(max)
        this.#pauses.worked()
        for (const raw of deliveries) this.#deps.onDelivery(raw)
        this.#ended()
      },
      (error: unknown) => {
        this.#answered(max)
        this.#rest(error)
        this.#ended()
      },
    )
  }

  /** A backend may throw where it should reject. */
  async #ask(max: number, waitMs: number): Promise<readonly RawDelivery[]> {
    const { backend, queue, leaseMs, keepAlive } = this.#deps
    return backend.receive({ queue, max, waitMs, leaseMs, keepAlive, signal: this.#stop.signal })
  }

  #answered(max: number): void {
    this.#asked -= max
    this.#underWay--
  }

  #ended(): void {
    this.pull()
    if (this.#underWay === 0) this.#idle?.()
  }

  #rest(error: unknown): void {
    this.#plenty = false
    if (this.#resting) return
    this.#resting = true
    const again = (helps: boolean): void => {
      this.#resting = !helps
      this.pull()
    }
    void this.#pauses.failed(error, this.#stop.signal).then(again)
  }
}

/** A standing subscription: the backend itself holds to the number of slots. Each change waits for the one before it. */
class Subscription implements Intake {
  readonly #deps: IntakeDeps
  readonly #stop = new AbortController()
  #standing: { close(): Promise<void> } | undefined
  #wanted = true
  #change: Promise<void>

  constructor(deps: IntakeDeps) {
    this.#deps = deps
    this.#change = withoutJob(() => this.#open())
    if (deps.keepAlive) void this.#stayAlive()
  }

  pull(): void {
    // A slot is free when its delivery is settled, which the backend sees for itself.
  }

  suspend(): void {
    this.#wanted = false
    this.#change = this.#change.then(() => this.#end())
  }

  resume(): void {
    this.#wanted = true
    this.#change = this.#change.then(() => withoutJob(() => this.#open()))
  }

  async close(): Promise<void> {
    this.#stop.abort(ENOUGH)
    await this.#change
    await this.#end(true)
  }

  async #open(): Promise<void> {
    const { backend, queue, slots, leaseMs, onDelivery } = this.#deps
    const pauses = new Pauses(this.#deps)
    while (this.#wanted && this.#standing === undefined && !this.#stop.signal.aborted) {
      try {
        this.#standing = await backend.subscribe?.({ queue, slots, leaseMs, onDelivery })
        pauses.worked()
      } catch (error) {
        if (!(await pauses.failed(error, this.#stop.signal))) return
      }
    }
  }

  async #end(always = false): Promise<void> {
    if (this.#wanted && !always) return
    const standing = this.#standing
    this.#standing = undefined
    try {
      await standing?.close()
    } catch (error) {
      // It ended with its connection; what it held comes back by its lease.
      this.#deps.onStalled(error, 0)
    }
  }

  async #stayAlive(): Promise<void> {
    const closed = (): void => undefined
    while (!this.#stop.signal.aborted)
      await this.#deps.clock.sleep(2 ** 30, { signal: this.#stop.signal }).catch(closed)
  }
}
