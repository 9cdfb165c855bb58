/**
 * What the queues of the contract are called on the server. Invariant: two different names never meet (no part of a name can look like
 * a separator, and a shortened name cannot be written by hand), none is longer than the 255 bytes of AMQP, and all of one
 * namespace begin alike, so that permissions and clean-up can go by prefix.
 */
import { createHash } from 'node:crypto'

/** The server's queues of one queue. */
export interface QueueNames {
  /** What is ready. */
  readonly main: string
  /** Messages whose holders vanished twice: handed out one at a time. */
  readonly suspect: string
  readonly dead: string
  /** Held as an exclusive queue by whoever works on the dead letters. */
  readonly lock: string
}

/** The server's names of the registry of one namespace. */
export interface RegistryNames {
  /** Where changes are published. */
  readonly exchange: string
  /** The queue that keeps them. */
  readonly log: string
  /** The queue in which one process hears of them. */
  ear(id: string): string
}

/** The routing keys of the registry's exchange: the log takes changes, ears take both. */
export const KEYS = { change: 'change', hello: 'hello' } as const

/** Leaves room for the namespace and the kind within 255 bytes. */
const MAX_QUEUE_BYTES = 170
const MAX_NAMESPACE_BYTES = 60

/** The prefix of all names of a namespace. It holds no `:` beside its last, so the kind that follows is never part of it. */
export function prefixOf(namespace: string): string {
  // The server keeps names that begin with amq. for itself.
  const plain = encodeURIComponent(namespace.toWellFormed()).replace(/^amq\./i, (text) => text.replace('.', '%2E'))
  return `${shorten(plain, MAX_NAMESPACE_BYTES)}:`
}

/** The names of a queue. */
export function namesOf(prefix: string, queue: string): QueueNames {
  const name = shorten(queue, MAX_QUEUE_BYTES)
  return {
    main: `${prefix}q:${name}`,
    suspect: `${prefix}suspect:${name}`,
    dead: `${prefix}dead:${name}`,
    lock: `${prefix}lock:${name}`,
  }
}

/** The names of the registry. */
export function registryNamesOf(prefix: string): RegistryNames {
  return { exchange: `${prefix}registry`, log: `${prefix}registry-log`, ear: (id) => `${prefix}registry-ear:${id}` }
}

/** The name itself, or `#`, a hash and its beginning. A name that begins with `#` is hashed too: so none can be taken for a hash. */
function shorten(name: string, maxBytes: number): string {
  if (Buffer.byteLength(name) <= maxBytes && !name.startsWith('#')) return name
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 40)
  return `#${hash} ${[...name].slice(0, 20).join('')}`
}
