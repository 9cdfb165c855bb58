/**
 * A Redis Cluster: a link to each server that has something of ours, and which slot is where. All keys of a queue are in one slot, so every
 * call goes to one server. We follow the slots ourselves, because a library that sends a call again elsewhere does not say so.
 *
 * Invariant: a call that may have been carried out on one server is sent to another only as a repetition. While a slot is being moved its
 * queues wait.
 */
import { isMusterError, type Clock } from '@muster/core'
import type { Argument, Connection } from './connection.js'
import { replyCode } from './errors.js'
import type { QueueKeys } from './keys.js'
import type { Link } from './link.js'
import type { Script } from './lua.js'
import type { RunOptions, Server, Spell } from './server.js'
import { readSlots, slotOf, type SlotMap } from './slots.js'

/** How long calls wait for a cluster that elects a new primary or moves a slot. */
const PATIENCE_MS = 10_000
const PAUSE_MS = 100

/** What a cluster stands on. */
export interface ClusterDeps {
  readonly clock: Clock
  /** Some of its servers, as `host:port`. */
  readonly seeds: readonly string[]
  readonly link: (node: string) => Link
}

/** The cluster. */
export class Cluster implements Server {
  readonly #deps: ClusterDeps
  readonly #links = new Map<string, Link>()
  #slots: SlotMap = []
  #learning: Promise<void> | undefined

  constructor(deps: ClusterDeps) {
    this.#deps = deps
  }

  /** Learns where the slots are. Throws what the last server said where none tells. */
  async open(): Promise<void> {
    await this.#learn()
  }

  run(script: Script, keys: QueueKeys, args: Spell, options: RunOptions = {}): Promise<unknown> {
    return this.#onServerOf(keys.key('meta'), (link, repeated) =>
      link.run(script, keys, args, { ...options, repeated }),
    )
  }

  command(name: string, key: string, ...args: readonly Argument[]): Promise<unknown> {
    return this.#onServerOf(key, (link) => link.command(name, key, ...args))
  }

  async listen(key: string): Promise<Connection> {
    // What moved since is found by the looks of those who wait.
    return this.#link(this.#nodeOf(key)).listen()
  }

  close(): void {
    for (const link of this.#links.values()) link.close()
  }

  async #onServerOf(key: string, call: (link: Link, repeated: boolean) => Promise<unknown>): Promise<unknown> {
    const { clock } = this.#deps
    let repeated = false
    let giveUpAt: number | undefined
    for (;;) {
      const node = this.#nodeOf(key)
      try {
        return await call(this.#link(node), repeated)
      } catch (error) {
        if (!isMusterError(error, 'BACKEND_UNAVAILABLE')) throw error
        const code = replyCode(error.cause)
        if (code === 'OOM' || code === 'MISCONF') throw error
        repeated ||= error.details['unconfirmed'] === true
        giveUpAt ??= clock.monotonic() + PATIENCE_MS
        if (clock.monotonic() >= giveUpAt) throw error
        await this.#learn().catch(() => undefined)
        // Where nothing has moved, somebody else must first act.
        if (this.#nodeOf(key) === node) await clock.sleep(PAUSE_MS)
      }
    }
  }

  #nodeOf(key: string): string {
    const slot = slotOf(key)
    return this.#slots.find(({ from, to }) => slot >= from && slot <= to)?.node ?? this.#deps.seeds[0] ?? ''
  }

  #link(node: string): Link {
    let link = this.#links.get(node)
    if (link === undefined) this.#links.set(node, (link = this.#deps.link(node)))
    return link
  }

  #learn(): Promise<void> {
    return (this.#learning ??= this.#ask().finally(() => (this.#learning = undefined)))
  }

  async #ask(): Promise<void> {
    let failure: unknown
    for (const node of new Set([...this.#slots.map(({ node: known }) => known), ...this.#deps.seeds])) {
      try {
        const slots = readSlots(await this.#link(node).command('cluster', 'slots'), node)
        if (slots.length > 0) return void (this.#slots = slots)
      } catch (error) {
        failure = error
      }
    }
    if (failure instanceof Error) throw failure
  }
}
