/**
 * The names of the keys. Invariant: all keys of a queue have one hash tag, so that a script may touch them together on a Redis Cluster,
 * and two queues never share a key, whatever their names are.
 */
import { createHash } from 'node:crypto'
import { KEY_NAMES, type KeyName, type Script } from './lua.js'

/** What may stand in a key as it is; anything else is hashed, and its full name stands in the queue's metadata. */
const PLAIN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/

/** A name for use in keys: the name itself, or `~` and a hash of it. */
export function encodeName(name: string): string {
  return PLAIN.test(name) ? name : `~${createHash('sha256').update(name).digest('base64url').slice(0, 32)}`
}

/** The registry of a namespace: a hash of encoded names to full names. */
export function registryKey(namespace: string): string {
  return `muster:{${encodeName(namespace)}}:queues`
}

/** The keys of one queue. */
export class QueueKeys {
  readonly name: string
  readonly encoded: string
  readonly #prefix: string
  readonly #byName: Readonly<Record<string, string>>
  readonly #heads = new Map<Script, readonly string[]>()

  constructor(namespace: string, name: string) {
    this.name = name
    this.encoded = encodeName(name)
    this.#prefix = `muster:{${encodeName(namespace)}/${this.encoded}}:`
    this.#byName = Object.fromEntries(KEY_NAMES.map((key) => [key, this.#prefix + key]))
  }

  /** One key. */
  key(name: Exclude<KeyName, 'once'>): string {
    return this.#byName[name] ?? ''
  }

  /** The key of a caller's answers: `slot` is the caller's alone. */
  once(slot: string): string {
    return `${this.#prefix}once:${slot}`
  }

  /** How a call of the script begins: the count of its keys and the keys. A script with `once` declares it last. */
  head(script: Script, slot: string | undefined): readonly string[] {
    let head = this.#heads.get(script)
    if (head === undefined) {
      const names = script.keys.flatMap((key) => (key === 'once' ? [] : [this.key(key)]))
      head = [String(script.keys.length), ...names]
      this.#heads.set(script, head)
    }
    return slot === undefined ? head : [...head, this.once(slot)]
  }
}
