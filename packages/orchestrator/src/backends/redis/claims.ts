/**
 * Receives as the server is asked for them. Invariant: each has a fence of its own, so that what was taken and never heard of is given to us
 * again; and of the receives of a queue that are under way here one at most may take a suspect, and none while a suspect is held.
 */
import type { RawDelivery, ReceiveRequest } from '../../backend.js'
import type { Desk } from './desk.js'
import type { Ends } from './ends.js'
import { EPOCH_MS } from './lua.js'
import { KNOCK, RECEIVE, eachHanded, type ReceiveReply } from './receive.js'
import { Hold, type Ledger } from './receipts.js'
import type { Stand } from './stand.js'

/** What a receive brought. */
export interface Look {
  readonly deliveries: readonly RawDelivery[]
  /** When something may be due; undefined: nobody knows of anything. */
  readonly dueMs: number | undefined
}

/** A receive as the server is asked for it. */
interface Claim {
  readonly queue: string
  readonly max: number
  readonly leaseMs: number
  /** The caller chooses it, so that what was taken under it can be asked for again. */
  readonly fence: string
  readonly suspects: boolean
  /** When it was sent, monotonic. */
  readonly from: number
}

const NOTHING: Look = { deliveries: [], dueMs: undefined }

/** The pause after a receive could not stand. */
const RETRY_MS = 500

/** The receives of one backend. */
export class Claims {
  readonly #desk: Desk
  readonly #ledger: Ledger
  /** Queues of which a receive under way may take a suspect. */
  readonly #suspecting = new Set<string>()

  constructor({ desk, ledger }: { readonly desk: Desk; readonly ledger: Ledger }) {
    this.#desk = desk
    this.#ledger = ledger
  }

  /** The slot of the list on which this process knocks. */
  get slot(): string {
    return `${this.#desk.instance}.stand`
  }

  /** Ends the wait of the receive that stands; `off`: calls it off. */
  knock(queue: string, off: boolean): Promise<unknown> {
    const desk = this.#desk
    return desk.server.run(KNOCK, desk.keys(queue), () => [off ? '2' : '1'], { slot: this.slot })
  }

  /** Takes up to `max` of what is there. */
  take(request: ReceiveRequest): Promise<Look> {
    return this.#asking(request, request.max, async (claim) => {
      const reply = await this.#ask(claim)
      return this.#taken(claim, reply, claim.from)
    })
  }

  /** Lets a receive of one message stand at the server until there is one, or for a second. */
  stand(stand: Stand, request: ReceiveRequest, ends: Ends): Promise<Look> {
    const desk = this.#desk
    const { clock } = desk
    return this.#asking(request, 1, async (claim) => {
      try {
        await stand.connect()
      } catch {
        // The look that follows tells what is wrong with the server.
        await clock.sleep(RETRY_MS, { unref: true })
        return ends.why === undefined ? this.take(request) : NOTHING
      }
      if (ends.why !== undefined) return NOTHING
      // Rung while we connected: nothing stood yet that could have heard it.
      if (stand.takeRing()) return this.take(request)
      try {
        const head = desk.keys(claim.queue).head(RECEIVE, this.slot)
        const { beganMs, reply } = await stand.stand([RECEIVE.sha, ...head, ...spell(claim, '0', 'stand')])
        const takenMs = EPOCH_MS + (reply as ReceiveReply)[0] / 1_000
        // Its lease began when it was taken, by the clock of the server, and at the latest when we heard of it.
        const stoodMs = Math.min(Math.max(0, takenMs - beganMs), clock.monotonic() - claim.from)
        return this.#taken(claim, reply, claim.from + stoodMs)
      } catch {
        return stand.destroyed ? NOTHING : this.#recall(request, claim, ends)
      }
    })
  }

  /** Nobody knows what a receive took: it takes nothing more, and what it took is given to us again. */
  async #recall(request: ReceiveRequest, claim: Claim, ends: Ends): Promise<Look> {
    await this.knock(claim.queue, true)
    const look = this.#taken(claim, await this.#ask(claim, 'recall'), claim.from)
    if (look.deliveries.length > 0) return look
    await this.#desk.clock.sleep(RETRY_MS, { unref: true })
    return ends.why === undefined ? this.take(request) : look
  }

  /** Of the receives of a queue that are under way one may take a suspect, and none while a suspect is held here. */
  async #asking({ queue, leaseMs }: ReceiveRequest, max: number, ask: (claim: Claim) => Promise<Look>): Promise<Look> {
    const [desk, ledger] = [this.#desk, this.#ledger]
    const from = desk.clock.monotonic()
    const suspects = !this.#suspecting.has(queue) && !ledger.holdsSuspect(queue, from)
    if (suspects) this.#suspecting.add(queue)
    try {
      return await ask({ queue, max, leaseMs, suspects, from, fence: `${desk.instance}${desk.nextCall()}` })
    } finally {
      if (suspects) this.#suspecting.delete(queue)
    }
  }

  #ask(claim: Claim, mode?: 'recall'): Promise<unknown> {
    const desk = this.#desk
    const args = (repeated: boolean): string[] => spell(claim, repeated || mode ? '1' : '0', mode)
    return desk.server.run(RECEIVE, desk.keys(claim.queue), args, { slot: this.slot })
  }

  #taken({ queue, fence, leaseMs }: Claim, reply: unknown, from: number): Look {
    const ledger = this.#ledger
    const [dueMs] = reply as ReceiveReply
    const leaseUntil = from + leaseMs
    const deliveries: RawDelivery[] = []
    eachHanded(reply as ReceiveReply, ({ id, body, priority, tries, crashes, publishedAt }) => {
      const receipt = new Hold(ledger, queue, id, fence, crashes, leaseUntil)
      ledger.add(receipt)
      deliveries.push({ id, body, priority, tries, crashes, publishedAt, leaseUntil, receipt })
    })
    return { deliveries, dueMs: dueMs < 0 ? undefined : dueMs }
  }
}

function spell({ max, fence, leaseMs, suspects }: Claim, repeated: '0' | '1', mode?: 'stand' | 'recall'): string[] {
  return [String(max), fence, String(leaseMs), suspects ? '1' : '0', repeated, ...(mode === undefined ? [] : [mode])]
}
