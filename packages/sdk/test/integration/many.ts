/**
 * A thousand small jobs and the controllers that run them, each in a process of its own: for tests of what happens to jobs under way. Every
 * job writes its id into one file when it runs, so that each run counts, whoever forgot it.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { command, type JobRecord, type Muster, type OpenOptions } from '@muster/sdk'
import { expect } from 'vitest'

const LEADER = new URL('fixtures/leader.mjs', import.meta.url).pathname
const GROUP = 100

/** A controller in a process of its own. */
export class Controller {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  /** Resolves when its process runs and has loaded the sdk. */
  readonly loaded: Promise<void>
  /** Resolves when it has opened its record. */
  readonly leading: Promise<void>

  constructor(options: OpenOptions, env: NodeJS.ProcessEnv = process.env) {
    this.#child = spawn(process.execPath, [LEADER, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env,
    })
    this.#ended = once(this.#child, 'exit')
    const { promise: loaded, resolve: onLoaded } = promised()
    const { promise: leading, resolve: onLeading } = promised()
    if (this.#child.stdout)
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        if (line === 'loaded') onLoaded()
        if (line === 'leading') onLeading()
      })
    const early = this.#ended.then(() => Promise.reject(new Error('the controller ended before it led')))
    this.loaded = Promise.race([loaded, early])
    this.leading = Promise.race([leading, early])
    for (const said of [this.loaded, this.leading]) said.catch(() => undefined) // told to whoever waits for it
  }

  /** Ends it without a word. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  /** Has it close, and waits until it is gone. */
  async stop(): Promise<void> {
    this.#child.stdin?.end()
    await this.#ended
  }
}

function promised(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>((done) => (resolve = done))
  return { promise, resolve }
}

/** The jobs of one record, and what they left. */
export class ManyJobs {
  readonly ids: string[] = []
  readonly #runs: string

  constructor(directory: string) {
    this.#runs = join(directory, 'runs')
  }

  async submit(muster: Muster, count: number, priority = 5): Promise<void> {
    const job = command({ run: `echo $MUSTER_JOB_ID >> ${this.#runs}` })
    for (let done = 0; done < count; done += GROUP) {
      const group = Array.from({ length: Math.min(GROUP, count - done) }, () => muster.submit(job, { priority }))
      this.ids.push(...(await Promise.all(group)).map(({ id }) => id))
    }
  }

  /** The ids of all that ran so far, as often as they ran. */
  async ran(): Promise<readonly string[]> {
    const text = await readFile(this.#runs, 'utf8').catch(() => '')
    return text.split('\n').filter((line) => line !== '')
  }

  /** Waits until so many have run. */
  async untilRan(count: number): Promise<void> {
    await expect
      .poll(async () => (await this.ran()).length, { timeout: 150_000, interval: 50 })
      .toBeGreaterThanOrEqual(count)
  }

  /** Waits for all of them to end; each must be completed, and have run once. Gives them as recorded. */
  async allOnce(muster: Muster): Promise<readonly JobRecord[]> {
    const { ids } = this
    const left = async (): Promise<number> =>
      (await muster.jobs.listJobs({ state: ['pending', 'queued', 'scheduled', 'running'] }, { limit: 1 })).jobs.length
    await expect.poll(left, { timeout: 150_000, interval: 200 }).toBe(0)
    const jobs = await Promise.all(ids.map(async (id) => await muster.jobs.getJob(id)))
    expect(jobs.filter((job) => job?.state !== 'completed')).toEqual([])
    expect((await this.ran()).toSorted()).toEqual(ids.toSorted())
    return jobs.filter((job) => job !== undefined)
  }
}

/** Runs `work` and says by how much this machine was late meanwhile, milliseconds: what a bound is allowed beside its figure. */
export async function withGap<T>(work: () => Promise<T>): Promise<{ readonly outcome: T; readonly gapMs: number }> {
  const gaps = monitorEventLoopDelay({ resolution: 2 })
  gaps.enable()
  try {
    return { outcome: await work(), gapMs: gaps.max / 1e6 }
  } finally {
    gaps.disable()
  }
}
