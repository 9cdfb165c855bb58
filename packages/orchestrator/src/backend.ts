/**
 * The QueueBackend seam: what a queue must do, in thirteen members, so that everything above it is written once.
 *
 * A backend holds **queues**; a queue holds **messages**; a message is handed out as a **delivery** under a lease. A message is
 * always in exactly one place: ready, delayed, leased, or dead. Every change of place is one atomic step of the backend, so
 * a crash between two calls loses nothing: what was not settled comes back when its lease ends.
 *
 * - **Order.** Strictly 9 to 0, first in first out within a priority. Only `receive` moves a message out of the line, and
 *   only as many as were asked for: a backend keeps no buffer ahead of its callers, so a late 9 overtakes all that waits.
 *   A retry and a delayed message that falls due join the end of their line; a release, and an expired lease, go back to
 *   the old place where `keepsPlace` is declared.
 * - **Two counters.** `tries` are retries that a holder asked for, `crashes` are holders that vanished. Either may end a message as
 *   a dead letter (`maxTries`, `maxCrashes`); a release raises neither.
 * - **Receipts.** The proof of holding one delivery, as an object: it is good only in the process that received it, it cannot be
 *   copied or made up, and it is spent by the first settlement. An old receipt never touches a newer delivery.
 * - **Batches.** `publish`, `settle` and `extend` take many and answer each by index. A caller's mistake (a priority of 12) throws
 *   for the whole batch before anything has happened; what the backend refuses, or cannot confirm, is an outcome.
 * - **Time.** Delays and leases run on the backend's clock where it has one, never on a client's wall clock. Never early.
 * - **Waiting.** A `receive` that waits keeps the process alive unless told otherwise; nothing else of a backend does.
 * - **Absence.** What a backend cannot do it says in `capabilities`, and the call throws UNSUPPORTED_BY_BACKEND. Nothing
 *   degrades quietly. A queue need not be declared before use: it begins with {@link DEFAULT_SETTINGS}.
 *
 * To add a backend: one file in backends/ with `open(options)`, one line in open.ts, and the suite in @muster/testing green.
 */
import type { Clock, Ids, Logger, MusterError } from '@muster/core'

/** All that a backend may lack. The set is closed: the suite proves each, present or absent. */
export const CAPABILITIES = [
  /** Messages survive the process that hosts the backend. */
  'durable',
  /** Other processes see the same queues. */
  'shared',
  /** Publishing an id that is present changes nothing and says so. */
  'dedup',
  /** `counts` knows what is delayed and leased, and a limit counts delayed messages. */
  'exactCounts',
  /** A released message, and one whose lease expired, returns to its old place in the line. */
  'keepsPlace',
  /** `redrive` and `clean` take ids. */
  'byId',
  /** A move between places cannot leave two copies of a message, whatever crashes. */
  'atomicMove',
  /** `browseDead` goes through all dead letters page by page, not only the first ones. */
  'browse',
  /** `clean` selects by state and age. */
  'filteredClean',
  /** Ages come from the backend's clock. */
  'serverTime',
  /** Priorities have an effect. */
  'priority',
  /** `crashes` counts vanished holders and nothing else; elsewhere it may be more by at most two, and what it counts joins the end of the line. */
  'exactCrashes',
] as const
/** A name of {@link CAPABILITIES}. */
export type Capability = (typeof CAPABILITIES)[number]

/** What a backend says of itself. */
export interface BackendCapabilities extends Readonly<Record<Capability, boolean>> {
  /** The backend's name, for messages to people. */
  readonly name: string
  /** The longest lease that can be asked for. */
  readonly maxLeaseMs: number
  /** How long a frozen or unreachable holder can keep a message beyond its lease; 0 where a lease can always be revoked. */
  readonly frozenHolderBoundMs: number
}

/** Settings of one queue; they belong to the queue, not to the process that declares them. */
export interface QueueSettings {
  /** The most messages that may wait; `publish` is refused beyond. Retries and releases never are. `null`: no limit. */
  readonly limit: number | null
  /** The retry that makes a message a dead letter: 1 means that the first one does. */
  readonly maxTries: number
  /** The crash that makes a message a dead letter. */
  readonly maxCrashes: number
}

/** The settings of a queue that nobody declared. */
export const DEFAULT_SETTINGS: QueueSettings = { limit: null, maxTries: 5, maxCrashes: 5 }

/** A message on its way in. The backend keeps a copy of the body. */
export interface OutgoingMessage {
  /** A uuid v7 unless given. */
  readonly id?: string
  /** Any bytes, at most 1 MiB; a text stands for its bytes in UTF-8, and spares whoever has one a copy. */
  readonly body: Uint8Array | string
  /** 0..9, 9 first; 5 unless given. */
  readonly priority?: number
  /** Not handed out before this long from now; 0 unless given, at most 30 days. */
  readonly delayMs?: number
}

/** What became of one published message. */
export type PublishOutcome =
  /** The backend holds it, as durably as it states. */
  | { readonly status: 'accepted'; readonly id: string }
  /** A message with this id is present; nothing was changed. */
  | { readonly status: 'duplicate'; readonly id: string }
  /** Not accepted: QUEUE_FULL, say. The error says whether trying again can help. */
  | { readonly status: 'failed'; readonly id: string; readonly error: MusterError }

/** What a receiver asks for. */
export interface ReceiveRequest {
  readonly queue: string
  /** At most this many, 1..1,000. */
  readonly max: number
  /** How long to wait for the first one; 0 looks once. Never waits for a second. */
  readonly waitMs: number
  /** How long the deliveries are held, at most `maxLeaseMs`. */
  readonly leaseMs: number
  /** Aborting rejects with AbortError; what was under way goes back uncounted. */
  readonly signal?: AbortSignal | undefined
  /** Whether the wait keeps the process alive; true unless given. */
  readonly keepAlive?: boolean | undefined
}

/** The proof of holding one delivery: the very object that came with it. */
export interface Receipt {
  readonly queue: string
  readonly id: string
}

/** A message handed out under a lease. */
export interface RawDelivery {
  readonly id: string
  /** A copy of what was published. */
  readonly body: Uint8Array
  /** The body as text, where it was published as text and the backend keeps it as such. */
  readonly text?: string | undefined
  readonly priority: number
  /** Retries before this delivery. */
  readonly tries: number
  /** Deliveries before this one whose holder vanished. */
  readonly crashes: number
  /** When it was published, epoch milliseconds. */
  readonly publishedAt: number
  /** When the lease ends at the earliest, on `clock.monotonic()` of this process. */
  readonly leaseUntil: number
  readonly receipt: Receipt
}

/** The ways to end a delivery. */
export type Settlement =
  /** Handled: the message is removed. */
  | { readonly as: 'ack'; readonly receipt: Receipt }
  /** Failed: again after `delayMs`, with `tries` + 1; a dead letter (`max-tries`) where that was the last. */
  | { readonly as: 'retry'; readonly receipt: Receipt; readonly delayMs: number; readonly reason?: string }
  /** Not begun: given back uncounted. */
  | { readonly as: 'release'; readonly receipt: Receipt }
  /** Refused for good: a dead letter (`rejected`) with this reason. */
  | { readonly as: 'dead'; readonly receipt: Receipt; readonly reason: string }

/** What became of one settlement. */
export type SettleOutcome =
  | 'settled'
  /** Settled, and the message is now a dead letter. */
  | 'dead'
  /** This receipt was spent before; nothing was changed. */
  | 'already-settled'
  /** The lease had ended; nothing was changed. */
  | 'lease-lost'
  /** The connection broke before the answer: settled, or to be delivered again. */
  | 'unconfirmed'

/** A wish to hold a delivery for `leaseMs` from now. */
export interface Extension {
  readonly receipt: Receipt
  readonly leaseMs: number
}
/** What became of one extension; as in {@link SettleOutcome}. */
export type ExtendOutcome = 'extended' | 'already-settled' | 'lease-lost' | 'unconfirmed'

/** How full a queue is. `undefined` means that the backend cannot know, never that there are none. */
export interface QueueCounts {
  readonly ready: number
  readonly delayed: number | undefined
  readonly leased: number | undefined
  readonly dead: number
  /** How long the first ready message has been waiting; `null` where none is ready. */
  readonly oldestMs: number | null | undefined
  readonly paused: boolean
}

/** Why a message became a dead letter. */
export const DEAD_REASONS = ['max-tries', 'max-crashes', 'rejected'] as const
/** Why a message became a dead letter. */
export type DeadReason = (typeof DEAD_REASONS)[number]

/** A message parked after its last delivery. */
export interface DeadLetter {
  readonly id: string
  readonly body: Uint8Array
  readonly priority: number
  readonly tries: number
  readonly crashes: number
  readonly reason: DeadReason
  /** What the last holder said; empty where it said nothing. */
  readonly detail: string
  readonly publishedAt: number
  /** When it died, epoch milliseconds. */
  readonly diedAt: number
}

/** A page of dead letters, oldest first. */
export interface DeadPage {
  readonly letters: readonly DeadLetter[]
  /** Where the next page begins; absent on the last. */
  readonly cursor?: string
}

/** What to clean. Without a filter: all that waits. */
export interface CleanRequest {
  /**
   * `waiting` (the default: ready, and delayed where `exactCounts` is declared) and `dead` work everywhere, `ready` and `delayed`
   * where `filteredClean` is declared. What is leased is never touched.
   */
  readonly state?: 'waiting' | 'ready' | 'delayed' | 'dead'
  /** At most this many, those first that would be delivered (or died) first. */
  readonly limit?: number
  /** Only those published at least this long ago (`filteredClean`). */
  readonly olderThanMs?: number
  /** Only these (`byId`). */
  readonly ids?: readonly string[]
}

/** A standing delivery; see {@link QueueBackend.subscribe}. */
export interface SubscribeRequest {
  readonly queue: string
  /** Never more than this many unsettled at once. */
  readonly slots: number
  readonly leaseMs: number
  /** Called for each; must not throw. */
  readonly onDelivery: (delivery: RawDelivery) => void
}

/** Queues behind one door. Any call after `close` throws BACKEND_CLOSED; all throw BACKEND_UNAVAILABLE where it cannot be reached. */
export interface QueueBackend {
  readonly capabilities: BackendCapabilities
  /** Makes the queue, or changes the settings that are given. */
  declare(queue: string, settings?: Partial<QueueSettings>): Promise<void>
  /** Resolves, by index, when each is held as durably as stated. Throws INVALID_ARGUMENT and MESSAGE_TOO_LARGE before anything is in. */
  publish(
    queue: string,
    messages: readonly OutgoingMessage[],
    options?: { signal?: AbortSignal | undefined },
  ): Promise<readonly PublishOutcome[]>
  /** Up to `max` deliveries, as soon as there is one; none after `waitMs`, while the queue is paused, or when the backend closes. */
  receive(request: ReceiveRequest): Promise<readonly RawDelivery[]>
  /** Ends deliveries. The batch may span queues and is of any length. */
  settle(batch: readonly Settlement[]): Promise<readonly SettleOutcome[]>
  /** Moves the end of leases. */
  extend(batch: readonly Extension[]): Promise<readonly ExtendOutcome[]>
  counts(queue: string): Promise<QueueCounts>
  /** The names of all queues that were declared or hold a message, sorted; emptied ones may be among them. */
  list(): Promise<readonly string[]>
  /** Dead letters, which stay where they are. `cursor` needs `browse`. */
  browseDead(queue: string, page: { limit: number; cursor?: string }): Promise<DeadPage>
  /** Puts dead letters back in line with both counters at 0; says how many. `ids` needs `byId`. */
  redrive(queue: string, which?: { limit?: number; ids?: readonly string[] }): Promise<number>
  /** Removes messages; says exactly how many. */
  clean(queue: string, which?: CleanRequest): Promise<number>
  /** Holds back (or hands out again) what waits, for every process; what is leased goes on. Holds within 1 s. */
  setPaused(queue: string, paused: boolean): Promise<void>
  /** Ends waiting receives with nothing, lets calls under way finish. What is still held comes back by its lease. Twice is once. */
  close(): Promise<void>
  /** A standing delivery, offered where it is faster than `receive`; closing it gives back uncounted what was not passed on. */
  subscribe?(request: SubscribeRequest): Promise<{ close(): Promise<void> }>
}

/** What every backend is opened with. */
export interface BackendOptions {
  /** Keeps the queues of one installation apart from those of another on the same server. */
  readonly namespace: string
  readonly clock: Clock
  readonly ids: Ids
  readonly logger: Logger
}
