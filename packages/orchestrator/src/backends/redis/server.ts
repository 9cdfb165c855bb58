/** What the parts of the backend ask of the server, be it one or a cluster. Invariant: errors from here are typed. */
import type { Argument, Connection } from './connection.js'
import type { QueueKeys } from './keys.js'
import type { Script } from './lua.js'

/** The arguments of an attempt; `repeated` where an earlier one may have been carried out. */
export type Spell = (repeated: boolean) => readonly Argument[]

/** How a script is run. */
export interface RunOptions {
  /** The caller's slot, for scripts that have `once`. */
  readonly slot?: string | undefined
  /** The call before this one, which is also repeated before it. */
  readonly after?: Promise<unknown> | undefined
  /** Whether it may have been carried out elsewhere already. */
  readonly repeated?: boolean
}

/** One server, or a cluster. */
export interface Server {
  /** Runs a script on the keys of a queue. */
  run(script: Script, keys: QueueKeys, args: Spell, options?: RunOptions): Promise<unknown>
  /** Runs a command on a key that may be carried out twice. */
  command(name: string, key: string, ...args: readonly Argument[]): Promise<unknown>
  /** A connection for blocking reads of this key: it keeps no process alive. */
  listen(key: string): Promise<Connection>
  /** Ends the connections; calls under way are lost. */
  close(): void
}
