/** What the parts of the JobStore suite share: a fresh record for each test, jobs, a leader, and processes that can be killed. */
import { jobSpec, systemIds, type SubmitOptions } from '@muster/core'
import type { AttemptRef, JobStore, LeaseTimes, LiveAttempt, NewJob } from '@muster/job-manager'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { Orders } from './child.js'

/** How the suite reaches an implementation. */
export interface JobStoreFactory {
  readonly name: string
  /** A module that exports `openStore(location, options)`, for the processes that the suite starts. */
  readonly module: string
  /** A place for a record that does not exist yet. */
  fresh(): Promise<{ readonly location: string; remove(): Promise<void> }>
  open(location: string, options?: { readonly lease?: LeaseTimes; readonly random?: () => number }): Promise<JobStore>
  /** Executes plain SQL as a program of somebody else would (in another process); rejects with what the database said. */
  sql(location: string, statement: string): Promise<void>
}

/** A short lease, so that a takeover is seen within the test. */
export const SHORT: LeaseTimes = { leaseMs: 1_000, beatMs: 300 }

/** Opens a fresh record, closed and removed after the test. */
export async function freshStore(
  factory: JobStoreFactory,
  options?: Parameters<JobStoreFactory['open']>[1],
): Promise<JobStore> {
  return openAt(factory, await freshLocation(factory), options)
}

/** A location whose record is removed after the test. */
export async function freshLocation(factory: JobStoreFactory): Promise<string> {
  const place = await factory.fresh()
  onTestFinished(() => place.remove())
  return place.location
}

/** Opens a record, closed after the test. */
export async function openAt(
  factory: JobStoreFactory,
  location: string,
  options: Parameters<JobStoreFactory['open']>[1] = { lease: SHORT },
): Promise<JobStore> {
  const store = await factory.open(location, options)
  onTestFinished(() => store.close())
  return store
}

/** A job to insert. */
export function newJob(options: SubmitOptions = {}, input = {}): NewJob {
  const spec = jobSpec({ worker: 'command', input }, options)
  return { id: systemIds.next(), spec, owner: options.owner ?? 'ada', payload: { run: ['true'] }, actor: 'user:ada' }
}

/** Leads the record and gives the epoch. */
export async function lead(store: JobStore): Promise<number> {
  return (await store.stand('suite').won()).epoch
}

/** Where attempts of the suite are placed. */
export const WHERE = { machine: 'gpu1', gpus: ['GPU-1'], actor: 'leader:suite' } as const

/** Submits and places a job. */
export async function placed(store: JobStore, epoch: number, options: SubmitOptions = {}): Promise<LiveAttempt> {
  const { job } = await store.insert(newJob(options))
  return store.place(epoch, job.id, WHERE)
}

/** Submits, places and starts a job. Gives the proof of its attempt. */
export async function running(store: JobStore, epoch: number, options: SubmitOptions = {}): Promise<AttemptRef> {
  const ref = refOf(await placed(store, epoch, options))
  await store.start(epoch, ref, { tree: 'marker', actor: 'machine:gpu1' })
  return ref
}

/** The proof of an attempt. */
export function refOf({ job, attempt, token }: LiveAttempt): AttemptRef {
  return { jobId: job.id, attempt: attempt.number, token }
}

/** A process that works on the record; killed after the test if it still runs. */
export class Process {
  readonly lines: string[] = []
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  #arrived: (() => void) | undefined

  constructor(orders: Orders) {
    const script = fileURLToPath(new URL('./child.js', import.meta.url))
    this.#child = spawn(process.execPath, [script, JSON.stringify(orders)], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#ended = once(this.#child, 'close')
    if (this.#child.stdout)
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        this.lines.push(line)
        this.#arrived?.()
      })
    onTestFinished(async () => {
      await this.kill()
    })
  }

  /** Resolves with the first line, from the `from`th on, that begins with `start`. */
  async line(start: string, from = 0): Promise<string> {
    for (;;) {
      const found = this.lines.slice(from).find((line) => line.startsWith(start))
      if (found !== undefined) return found
      await new Promise<void>((resolve) => {
        this.#arrived = resolve
      })
    }
  }

  say(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Kills it without a word and waits until all that it had said is here. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  /** Waits for its own end. */
  async ended(): Promise<void> {
    await this.#ended
  }
}
