/**
 * All queues that this process has to do with. Invariant: a name has one line, which follows the registry; nothing is published to a line
 * that was not declared on the server and entered in the registry before.
 */
import type { Clock } from '@muster/core'
import { DEFAULT_SETTINGS } from '../../backend.js'
import { checkSettings } from '../../checks.js'
import type { Desk } from './desk.js'
import { NOT_FOUND } from './errors.js'
import { Line } from './line.js'
import { namesOf } from './names.js'
import type { Registry } from './registry.js'
import type { Topology } from './topology.js'

/** How old the knowledge about suspects may be. */
const LOOK_EVERY_MS = 300

/** What the lines stand on. */
export interface LinesDeps {
  readonly prefix: string
  readonly registry: Registry
  readonly topology: Topology
  readonly desk: Desk
  readonly clock: Clock
}

/** The lines of one backend. */
export class Lines {
  readonly #deps: LinesDeps
  readonly #lines = new Map<string, Line>()
  readonly #entered = new Map<Line, Promise<void>>()
  readonly #looked = new Map<Line, number>()
  readonly #watched = new Map<Line, { count: number; stop: () => void }>()

  constructor(deps: LinesDeps) {
    this.#deps = deps
    deps.registry.changed.on((name) => {
      const line = this.#lines.get(name)
      if (line) this.#follow(line)
    })
  }

  /** The line of a name; nothing is done on the server. */
  get(name: string): Line {
    let line = this.#lines.get(name)
    if (line === undefined) {
      line = new Line(name, namesOf(this.#deps.prefix, name))
      this.#lines.set(name, line)
      this.#follow(line)
    }
    return line
  }

  /** The line of a name, with its queues on the server: for those who take from it. */
  async visit(name: string): Promise<Line> {
    const line = this.get(name)
    await this.#deps.topology.declare(line)
    return line
  }

  /** The same, entered in the registry: for those who leave something in it. At once where all that is known to be done. */
  enter(name: string): Line | Promise<Line> {
    const line = this.#lines.get(name)
    return line?.ready === true && this.#deps.registry.get(name) ? line : this.#enter(name)
  }

  async #enter(name: string): Promise<Line> {
    const line = this.get(name)
    let entered = this.#entered.get(line)
    if (entered === undefined) {
      entered = this.#deps.registry.enter(name)
      this.#entered.set(line, entered)
      entered.catch(() => this.#entered.delete(line))
    }
    await Promise.all([entered, this.#deps.topology.declare(line)])
    return line
  }

  /** Looks whether suspects wait, unless that is known well enough. */
  async look(line: Line): Promise<void> {
    const now = this.#deps.clock.monotonic()
    if (now - (this.#looked.get(line) ?? -Infinity) < LOOK_EVERY_MS) return
    this.#looked.set(line, now)
    const count = await this.#deps.desk.ask(
      `counting the queue '${line.name}'`,
      async (channel) => (await channel.checkQueue(line.names.suspect)).messageCount,
      {
        on: {
          [NOT_FOUND]: () => {
            this.#deps.topology.forget(line)
            return 0
          },
        },
      },
    )
    // One that is just being moved there is counted next time: whoever moved it has said so already.
    if (count > 0) line.suspects = true
  }

  /** Keeps looking while somebody waits; call what it returns when he does not any more. */
  watch(line: Line): () => void {
    const watched = this.#watched.get(line)
    if (watched) watched.count++
    else this.#watched.set(line, { count: 1, stop: this.#keepLooking(line) })
    return () => {
      const now = this.#watched.get(line)
      if (now === undefined || --now.count > 0) return
      now.stop()
      this.#watched.delete(line)
    }
  }

  #keepLooking(line: Line): () => void {
    let stopped = false
    let stopTimer = (): void => undefined
    const again = (): void => {
      if (!stopped) stopTimer = this.#deps.clock.after(LOOK_EVERY_MS, () => void this.look(line).then(again, again))
    }
    this.look(line).then(again, again) // without a connection it looks again later
    return () => {
      stopped = true
      stopTimer()
    }
  }

  #follow(line: Line): void {
    const entry = this.#deps.registry.get(line.name)
    if (entry === undefined) return
    try {
      checkSettings(entry.settings)
      line.settings = { ...DEFAULT_SETTINGS, ...entry.settings }
    } catch {
      // Somebody else wrote into the registry: what makes no sense changes nothing.
    }
    line.paused = entry.paused === true
  }
}
