/**
 * Where the messages of one queue are. Invariant: a message that the queue knows is in exactly one place, the one its `place` names,
 * because `move` is the only way from one to another.
 */
import type { CleanRequest, DeadReason, Receipt } from '../backend.js'
import { Index } from './local-index.js'
import { Line, ReadyLine, type Waiting } from './local-line.js'

/** The places. */
export type Place = 'ready' | 'delayed' | 'leased' | 'dead'

/** The receipt of one delivery. Its identity is the proof: no copy of it is worth anything. */
export class Lease implements Receipt {
  readonly queue: string
  readonly id: string
  /** Where the message is kept, and the message: nobody has to look for them. */
  readonly places: Places
  readonly message: Message
  settled = false

  constructor(queue: string, places: Places, message: Message) {
    this.queue = queue
    this.id = message.id
    this.places = places
    this.message = message
  }
}

/** A message as its queue keeps it. */
export interface Message extends Waiting {
  readonly id: string
  /**
   * What was published as text, or else the bytes as a string of one character each: half the memory of a Buffer of that size, nothing that
   * it shares, quick to collect.
   */
  body: string
  /** Which of the two it is. */
  readonly text: boolean
  readonly publishedAt: number
  place: Place | undefined
  tries: number
  crashes: number
  /** Set exactly while leased. */
  lease: Lease | undefined
  /** Set exactly while dead. */
  death: Death | undefined
}

/** How a message died; `seq` grows with every death. */
export interface Death {
  readonly seq: number
  readonly reason: DeadReason
  readonly detail: string
  readonly diedAt: number
}

/** The messages of one queue. */
export class Places {
  readonly ready = new ReadyLine<Message>()
  /** Ordered by when they fall due. */
  readonly delayed = new Line<Message>()
  /** Ordered by when the lease ends. */
  readonly leased = new Line<Message>()
  /** In the order of death. */
  readonly dead = new Map<string, Message>()
  readonly #byId = new Index<Message>()

  /** How many messages there are, dead ones included. */
  get size(): number {
    return this.#byId.size
  }

  /** The message of that id, wherever it is. */
  get(id: string): Message | undefined {
    return this.#byId.get(id)
  }

  /** Makes a new message known before it is moved to its first place; `born`: its id was made for it. */
  meet(message: Message, born: boolean): void {
    this.#byId.add(message, born)
  }

  /** Moves a message; `deadline` (monotonic) is for `delayed` and `leased`. */
  move(message: Message, to: Place, deadline = 0): void {
    if (message.place !== undefined) this.#leave(message)
    message.place = to
    if (to === 'ready') this.ready.add(message)
    else if (to === 'dead') this.dead.set(message.id, message)
    else {
      message.key = deadline
      this[to].add(message)
    }
  }

  /** Takes a message out for good. */
  forget(message: Message): void {
    this.#leave(message)
    this.#byId.removed(message)
    message.body = ''
  }

  /** The earliest deadline of all; Infinity where there is none. */
  nextDeadline(): number {
    return Math.min(this.delayed.peek()?.key ?? Infinity, this.leased.peek()?.key ?? Infinity)
  }

  /** The messages that a clean or a redrive means, in order. `now` is wall time. */
  select({ state = 'waiting', limit = Infinity, olderThanMs, ids }: CleanRequest, now: number): Message[] {
    const wanted = ids && new Set(ids)
    const chosen: Message[] = []
    for (const message of this.#inState(state)) {
      if (chosen.length >= limit) break
      if (wanted && !wanted.has(message.id)) continue
      if (olderThanMs !== undefined && now - message.publishedAt < olderThanMs) continue
      chosen.push(message)
    }
    return chosen
  }

  #inState(state: NonNullable<CleanRequest['state']>): Message[] {
    if (state === 'dead') return [...this.dead.values()]
    const ready = state === 'delayed' ? [] : this.ready.inOrder()
    const delayed = state === 'ready' ? [] : this.delayed.inOrder()
    return [...ready, ...delayed]
  }

  #leave(message: Message): void {
    const { place } = message
    if (place === 'dead') this.dead.delete(message.id)
    else if (place) this[place].remove(message)
    message.place = undefined
  }
}
