/**
 * A message of the local backend as it is handed out. What was published as text is handed on as that text, which nobody can change; its
 * bytes are made only for those who ask for them. Invariant: bytes are made once for each delivery, so whoever writes to them changes no
 * other delivery and nothing that is kept.
 */
import type { RawDelivery } from '../backend.js'
import type { Lease, Message } from './local-places.js'

/** A delivery. */
export class LocalDelivery implements RawDelivery {
  readonly id: string
  readonly text: string | undefined
  readonly priority: number
  readonly tries: number
  readonly crashes: number
  readonly publishedAt: number
  readonly leaseUntil: number
  readonly receipt: Lease
  #bytes: Uint8Array | undefined

  constructor(message: Message, leaseUntil: number, receipt: Lease) {
    this.id = message.id
    this.text = message.text ? message.body : undefined
    this.priority = message.priority
    this.tries = message.tries
    this.crashes = message.crashes
    this.publishedAt = message.publishedAt
    this.leaseUntil = leaseUntil
    this.receipt = receipt
    this.#bytes = message.text ? undefined : bodyBytes(message)
  }

  get body(): Uint8Array {
    return (this.#bytes ??= Buffer.from(this.text ?? ''))
  }
}

type Kept = Pick<Message, 'body' | 'text'>

/** The bytes of a body, nobody else's. */
export function bodyBytes({ body, text }: Kept): Uint8Array {
  return Buffer.from(body, text ? 'utf8' : 'latin1')
}

/** How many bytes a body is. */
export function bodySize({ body, text }: Kept): number {
  return text ? Buffer.byteLength(body) : body.length
}
