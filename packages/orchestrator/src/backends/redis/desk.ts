/**
 * What the parts of one opened backend share: the server, the names of the keys, the numbers of calls, and the registry of queues. Invariant: a
 * call that must not happen twice has a number that was never used before and a slot that no other call uses meanwhile.
 */
import type { Clock, Ids } from '@muster/core'
import type { QueueSettings } from '../../backend.js'
import type { Argument } from './connection.js'
import { QueueKeys, registryKey } from './keys.js'
import type { Script } from './lua.js'
import { CONFIGURE } from './maintain.js'
import type { Server } from './server.js'

/** More names than this are not kept at hand. */
const MAX_NAMES = 10_000

/** The desk. */
export class Desk {
  readonly server: Server
  readonly clock: Clock
  readonly ids: Ids
  readonly namespace: string
  /** Nobody else has it: fences and slots begin with it. */
  readonly instance: string
  readonly #names = new Map<string, QueueKeys>()
  readonly #freeSlots: number[] = []
  /** What this process declared, so that a server that lost everything learns it again. */
  readonly #declared = new Map<string, Partial<QueueSettings>>()
  #slots = 0
  #calls = 0

  constructor({ server, clock, ids, namespace }: Pick<Desk, 'server' | 'clock' | 'ids' | 'namespace'>) {
    this.server = server
    this.clock = clock
    this.ids = ids
    this.namespace = namespace
    this.instance = ids.token().slice(0, 12)
  }

  /** The keys of a queue. */
  keys(queue: string): QueueKeys {
    let keys = this.#names.get(queue)
    if (keys === undefined) {
      if (this.#names.size >= MAX_NAMES) this.#names.clear()
      keys = new QueueKeys(this.namespace, queue)
      this.#names.set(queue, keys)
    }
    return keys
  }

  /** A number that this process has not used before. */
  nextCall(): string {
    return (this.#calls++).toString(36)
  }

  /** Runs a script that has `once`; gives its answer as text. `after`: the call before it, which is also repeated before it. */
  async once(script: Script, keys: QueueKeys, args: readonly Argument[], after?: Promise<unknown>): Promise<string> {
    const slot = this.#freeSlots.pop() ?? this.#slots++
    const call = this.nextCall()
    try {
      const spell = (repeated: boolean): readonly Argument[] => [call, repeated ? '1' : '0', ...args]
      return String(await this.server.run(script, keys, spell, { slot: `${this.instance}.${slot}`, after }))
    } finally {
      this.#freeSlots.push(slot)
    }
  }

  /** Changes the metadata of a queue; an undefined value leaves, an empty one removes. */
  async configure(keys: QueueKeys, fields: Readonly<Record<string, string>>): Promise<void> {
    const unknown = await this.server.run(CONFIGURE, keys, () => Object.entries(fields).flat())
    if (unknown === 1) await this.register(keys)
  }

  /** Declares a queue. */
  async declare(keys: QueueKeys, settings: Partial<QueueSettings>): Promise<void> {
    const all = { ...this.#declared.get(keys.name), ...settings }
    await this.configure(keys, declaration(settings))
    this.#declared.set(keys.name, all)
  }

  /** Enters a queue into the registry, which lies elsewhere in a cluster: first there, then in the queue, so that what fails is done again. */
  async register(keys: QueueKeys): Promise<void> {
    await this.server.command('hset', registryKey(this.namespace), keys.encoded, keys.name)
    const declared = this.#declared.get(keys.name)
    const fields = { ...(declared && declaration(declared)), name: keys.name, known: '1' }
    await this.server.run(CONFIGURE, keys, () => Object.entries(fields).flat())
  }
}

function declaration({ limit, maxTries, maxCrashes }: Partial<QueueSettings>): Record<string, string> {
  return {
    declared: '1',
    ...(limit !== undefined && { limit: limit === null ? '' : String(limit) }),
    ...(maxTries !== undefined && { maxTries: String(maxTries) }),
    ...(maxCrashes !== undefined && { maxCrashes: String(maxCrashes) }),
  }
}
