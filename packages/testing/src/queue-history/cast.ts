/**
 * The actors of a history: processes where the backend is shared, else tasks of this one. Invariant: an actor that was killed is
 * replaced by another with a name of its own, and one that fails by itself fails the history.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { JsonValue } from '@muster/core'
import type { QueueBackend } from '@muster/orchestrator'
import type { QueueBackendFactory } from '../queue-backend/kit.js'
import { Actor, type Part } from './actor.js'
import type { ActorOrders } from './child.js'
import { Journal } from './journal.js'

/** What actors work on. */
export interface Stage {
  readonly factory: QueueBackendFactory
  /** For actors that are tasks. */
  readonly backend: QueueBackend
  readonly namespace: string
  readonly directory: string
  readonly queue: string
  readonly seed: number
  /** How processes reach the backend. */
  readonly config: JsonValue | undefined
}

interface Player {
  readonly child: ChildProcess | undefined
  readonly ended: Promise<unknown>
}

const STALL_MS = 60_000

/** See the file's head. */
export class Cast {
  readonly #stage: Stage
  readonly #players: Player[] = []
  readonly #stop = new AbortController()
  readonly #thaws: Promise<unknown>[] = []
  #failure: Error | undefined
  #lives = 0
  #done = 0

  constructor(stage: Stage) {
    this.#stage = stage
  }

  /** How many operations were answered. */
  get done(): number {
    return this.#done
  }

  async enter(count: number): Promise<void> {
    while (this.#players.length < count) this.#players.push(this.#start())
  }

  /** Resolves when so many operations were answered in all. Throws what an actor threw, and when nothing goes on any more. */
  async until(operations: number): Promise<void> {
    let [last, since] = [this.#done, performance.now()]
    while (this.#done < operations) {
      if (this.#failure) throw this.#failure
      if (this.#done > last) [last, since] = [this.#done, performance.now()]
      if (performance.now() - since > STALL_MS) throw new Error(`nothing was answered for ${STALL_MS} ms`)
      await sleep(5)
    }
  }

  /** SIGKILL of one, and another in its place. */
  async kill(chance: number): Promise<void> {
    const at = Math.floor(chance * this.#players.length)
    const player = this.#players[at]
    player?.child?.removeAllListeners('exit')
    const gone = player?.child && once(player.child, 'exit')
    player?.child?.kill('SIGKILL')
    await gone
    this.#players[at] = this.#start()
  }

  /** SIGSTOP of one for so long; does not wait, since the others go on. */
  freeze(chance: number, ms: number): void {
    const { child } = this.#players[Math.floor(chance * this.#players.length)] ?? {}
    child?.kill('SIGSTOP')
    this.#thaws.push(sleep(ms).then(() => child?.kill('SIGCONT')))
  }

  /** All stop after what they are at, and close; twice is once. Throws what one threw. */
  async leave(): Promise<void> {
    this.#stop.abort()
    const players = this.#players.splice(0)
    await Promise.all(this.#thaws)
    for (const { child } of players) if (child?.connected) child.send('stop')
    await Promise.all(players.map(({ child, ended }) => Promise.race([ended, endLater(child)])))
    if (this.#failure) throw this.#failure
  }

  #start(): Player {
    const life = ++this.#lives
    const { factory, queue, seed, directory } = this.#stage
    const part: Part = { queue, name: `a${life}`, seed: seed + life, priorities: factory.capabilities.priority }
    return factory.capabilities.shared ? this.#process(part) : this.#task(part, directory)
  }

  #task(part: Part, directory: string): Player {
    const journal = new Journal(directory, part.name)
    const actor = new Actor(this.#stage.backend, part, journal)
    const acting = actor.act(() => this.#done++, this.#stop.signal).catch((error: unknown) => this.#fail(error))
    return { child: undefined, ended: acting.finally(() => journal.close()) }
  }

  #process(part: Part): Player {
    const { factory, config, namespace, directory } = this.#stage
    if (config === undefined) throw new Error('a shared backend has to say how another process opens it')
    const orders: ActorOrders = { module: factory.processes?.module, config, namespace, directory, part }
    const script = fileURLToPath(new URL('./child.js', import.meta.url))
    const child = fork(script, [JSON.stringify(orders)], { execArgv: [] })
    child.on('message', () => this.#done++)
    child.on('exit', (code, signal) => {
      if (code !== 0) this.#fail(new Error(`an actor ended by itself: ${String(signal ?? code)}`))
    })
    return { child, ended: once(child, 'exit') }
  }

  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error))
  }
}

/** Whoever does not end by itself is ended, and that is no good end. */
async function endLater(child: ChildProcess | undefined): Promise<void> {
  await sleep(STALL_MS, undefined, { ref: false })
  child?.kill('SIGKILL')
}
