/**
 * The ledger of what this process holds. Invariant: a receipt is the very object that came with its delivery, it is good for the backend
 * that gave it, and it is spent by the first settlement that took effect.
 */
import type { ExtendOutcome, Receipt, SettleOutcome } from '../../backend.js'
import { SUSPECT_CRASHES } from './lua.js'

/** The receipt of one delivery. */
export class Hold implements Receipt {
  readonly queue: string
  readonly id: string
  readonly fence: string
  readonly crashes: number
  readonly owner: Ledger
  leaseUntil: number
  spent = false
  /** Set where the answer to a settlement was lost: from then on "not held" may mean that it took effect. */
  doubtful = false
  /** Resolves when the settlement under way has ended. */
  settling: Promise<void> | undefined

  constructor(owner: Ledger, queue: string, id: string, fence: string, crashes: number, leaseUntil: number) {
    this.owner = owner
    this.queue = queue
    this.id = id
    this.fence = fence
    this.crashes = crashes
    this.leaseUntil = leaseUntil
  }
}

/** What one backend has handed out, as far as it must know. */
export class Ledger {
  readonly #suspects = new Map<string, Set<Hold>>()

  /** Notes a delivery. */
  add(hold: Hold): void {
    if (hold.crashes < SUSPECT_CRASHES) return
    const held = this.#suspects.get(hold.queue) ?? new Set()
    this.#suspects.set(hold.queue, held.add(hold))
  }

  /** The hold that a receipt stands for; undefined for anything that we did not hand out. */
  find(receipt: Receipt): Hold | undefined {
    return receipt instanceof Hold && receipt.owner === this ? receipt : undefined
  }

  /** Whether a suspect of the queue is held, at `now` (monotonic). */
  holdsSuspect(queue: string, now: number): boolean {
    const held = this.#suspects.get(queue)
    if (held === undefined) return false
    for (const hold of held) if (hold.leaseUntil <= now) held.delete(hold)
    if (held.size === 0) this.#suspects.delete(queue)
    return held.size > 0
  }

  /** Notes how a settlement ended. Says whether a suspect is held no more. */
  settled(hold: Hold, outcome: SettleOutcome): boolean {
    if (outcome === 'unconfirmed') hold.doubtful = true
    if (outcome === 'settled' || outcome === 'dead') hold.spent = true
    return outcome !== 'unconfirmed' && this.#suspects.get(hold.queue)?.delete(hold) === true
  }

  /** What "not held" means for this hold. */
  lost(hold: Hold): 'already-settled' | 'unconfirmed' | 'lease-lost' {
    if (hold.spent) return 'already-settled'
    return hold.doubtful ? 'unconfirmed' : 'lease-lost'
  }
}

/** The outcome of an extension as the server spelt it. */
export function extended(code: string | undefined, hold: Hold, ledger: Ledger): ExtendOutcome {
  return code === 'e' ? 'extended' : ledger.lost(hold)
}
