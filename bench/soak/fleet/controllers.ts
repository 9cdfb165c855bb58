/** The controllers of the soak: two at any time, one of which leads. Whoever is killed is replaced; whoever is frozen wakes late. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { openSync, closeSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ControllerSetup } from './controller.js'
import type { Dice } from './dice.js'

const PROGRAM = fileURLToPath(new URL('controller.ts', import.meta.url))
const AT_ONCE = 2

/** See the file's head. */
export class Controllers {
  readonly #setup: ControllerSetup
  readonly #living: ChildProcess[] = []
  readonly #logs: string[] = []

  constructor(setup: ControllerSetup) {
    this.#setup = setup
  }

  /** Starts as many as are missing, and comes back when they are up. */
  async replace(): Promise<void> {
    while (this.#living.length < AT_ONCE) await this.#start()
  }

  /** kill -9 of one of them, then another takes its place. */
  async kill(dice: Dice): Promise<void> {
    const [victim] = this.#living.splice(Math.floor(dice.between(0, this.#living.length)), 1)
    if (victim === undefined) return
    const exited = once(victim, 'exit')
    victim.kill('SIGKILL')
    await exited
    await this.replace()
  }

  /** One of them stands still for longer than its lease, then goes on with what it believed. */
  async freeze(dice: Dice, ms: number, signal: AbortSignal): Promise<void> {
    const victim = this.#living[Math.floor(dice.between(0, this.#living.length))]
    victim?.kill('SIGSTOP')
    await sleep(ms, undefined, { signal }).catch(() => undefined)
    victim?.kill('SIGCONT')
  }

  /** Asks all to give back the lease and end, and waits for it. Throws where one does not end well. */
  async close(): Promise<void> {
    const codes = await Promise.all(
      this.#living.splice(0).map(async (child) => {
        const exited = once(child, 'exit', { signal: AbortSignal.timeout(30_000) })
        child.stdin?.end()
        const [code] = (await exited) as [number | null]
        return code
      }),
    )
    if (codes.some((code) => code !== 0)) throw new Error(`a controller ended with ${codes.join(' and ')}`)
  }

  /** Ends all at once, however they are. */
  destroy(): void {
    for (const child of this.#living.splice(0)) {
      child.kill('SIGCONT')
      child.kill('SIGKILL')
    }
  }

  /** What all of them logged that is worse than information, how often each; most often first. */
  complaints(): readonly string[] {
    const counts = new Map<string, number>()
    const lines = this.#logs.flatMap((log) => readFileSync(log, 'utf8').split('\n').filter(Boolean))
    for (const line of lines.map(complaint)) if (line !== undefined) counts.set(line, (counts.get(line) ?? 0) + 1)
    return [...counts].sort(([, a], [, b]) => b - a).map(([line, count]) => `${count} x ${line}`)
  }

  async #start(): Promise<void> {
    const log = join(this.#setup.directory, `controller-${this.#logs.length}.log`)
    this.#logs.push(log)
    const file = openSync(log, 'w', 0o600)
    const words = ['--import', 'tsx', PROGRAM, JSON.stringify(this.#setup)]
    const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', file] })
    closeSync(file)
    this.#living.push(child)
    const exited = once(child, 'exit').then(() => {
      throw new Error(`a controller did not come up: ${readFileSync(log, 'utf8').slice(-2_000)}`)
    })
    exited.catch(() => undefined)
    if (child.stdout) await Promise.race([once(child.stdout, 'data'), exited])
  }
}

interface LogEntry {
  readonly level: number
  readonly msg?: string
  readonly err?: { readonly message: string }
}

/** A line of a log in short: the same complaint about another attempt is the same. What is no entry is a crash, and stays as it is. */
function complaint(line: string): string | undefined {
  if (!line.startsWith('{')) return line
  const { level, msg = '', err } = JSON.parse(line) as LogEntry
  return level <= 30 ? undefined : `${msg}: ${err?.message ?? ''}`.replace(/[0-9a-f-]{36}\.\d+/g, 'ATTEMPT')
}
