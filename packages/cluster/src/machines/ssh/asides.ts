/**
 * Sessions on a machine that allows few of them on one connection: a few connections beside the shared one, each with as many
 * sessions as the machine allows, closed with its last. A session that was closed here counts there as long as its processes
 * live, so even killing those needs one more.
 *
 * Invariant: an aside lives exactly as long as somebody uses it, and there are never more than ROOM allows.
 */
import { isMusterError, MusterError } from '@muster/core'
import type { ClientChannel } from 'ssh2'
import type { Connection } from './connection.js'

/** A session on the machine, with the connection it is on. */
export interface Session {
  readonly channel: ClientChannel
  readonly connection: Connection
}

/** What a session is for. */
export type Need = 'stream' | 'shell' | 'kill'

/** Asides for each need: streams must leave room for the shells, and both for what ends them. */
const ROOM: Readonly<Record<Need, number>> = { stream: 4, shell: 6, kill: 7 }

/** See the file's head. */
export class Asides {
  readonly #open: () => Promise<Connection>
  readonly #users = new Map<Connection, number>()
  #coming: Promise<Connection> | undefined

  constructor(open: () => Promise<Connection>) {
    this.#open = open
  }

  /** A session on `shared`, or on an aside. Throws SSH_SESSION_REFUSED, TRANSPORT_LOST. */
  async session(shared: Connection, command: string, need: Need): Promise<Session> {
    try {
      return { channel: await shared.exec(command), connection: shared }
    } catch (error) {
      if (!isMusterError(error, 'SSH_SESSION_REFUSED')) throw error
      return this.#beside(command, need, error)
    }
  }

  async #beside(command: string, need: Need, refused: MusterError): Promise<Session> {
    for (;;) {
      for (const aside of [...this.#users.keys()]) {
        const session = await this.#on(aside, command)
        if (session) return session
      }
      const isMine = !this.#coming
      if (isMine && this.#users.size >= ROOM[need]) throw refused
      const aside = await this.#another(refused)
      // Who brought it uses it first; for others it is one more to look at.
      const session = isMine ? await this.#on(aside, command) : undefined
      if (session) return session
      if (isMine) throw refused
    }
  }

  /** Who cannot get an aside is told of the refusal: for scripts that means to wait, for an unreachable machine it would not. */
  async #another(refused: MusterError): Promise<Connection> {
    try {
      return await (this.#coming ??= this.#open().finally(() => (this.#coming = undefined)))
    } catch (cause) {
      if (isMusterError(cause, 'TRANSPORT_CLOSED')) throw cause
      throw new MusterError('SSH_SESSION_REFUSED', refused.message, { cause })
    }
  }

  /** Undefined where that aside takes no more, or is gone. */
  async #on(aside: Connection, command: string): Promise<Session | undefined> {
    this.#users.set(aside, (this.#users.get(aside) ?? 0) + 1)
    try {
      const channel: ClientChannel = await aside.exec(command)
      channel.once('close', () => this.#leave(aside))
      return { channel, connection: aside }
    } catch (error) {
      this.#leave(aside)
      if (isMusterError(error, 'SSH_SESSION_REFUSED') || isMusterError(error, 'TRANSPORT_LOST')) return undefined
      throw error
    }
  }

  #leave(aside: Connection): void {
    const left = (this.#users.get(aside) ?? 1) - 1
    this.#users.set(aside, left)
    if (left > 0) return
    this.#users.delete(aside)
    void aside.close()
  }
}
