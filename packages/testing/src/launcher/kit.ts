/**
 * What the sections of the launcher suite share: a launcher on a directory of its own for each test, requests, and waiting for an end.
 * Invariant: after each test nothing of it is left on the machine; whatever a test started is stopped and removed.
 */
import { systemClock, systemIds, type LaunchPlan } from '@muster/core'
import type { AttemptKey, Launcher, LauncherHints, Observation, StartRequest, Transport } from '@muster/cluster'
import { expect, onTestFinished } from 'vitest'

/** How one launcher of the suite is opened. All absent: a usual machine. */
export interface LauncherSetup {
  /** Ours alone unless given, as for a second controller on the same machine. */
  readonly stateDir?: string
  readonly bootIdPath?: string
  readonly oomEventsPath?: string
  /** A directory on the machine that comes first in the PATH of scripts. */
  readonly pathFirst?: string
}

/** An opened launcher. */
export interface LauncherBench {
  readonly launcher: Launcher & LauncherHints
  readonly transport: Transport
  readonly stateDir: string
}

/** What a launcher brings to be proven. */
export interface LauncherFactory {
  /** Shown in the names of the tests. */
  readonly name: string
  open(setup: LauncherSetup & { readonly stateDir: string }): Promise<LauncherBench & { close(): Promise<void> }>
  /** Calls `start` in a process of its own that is killed (SIGKILL) so many milliseconds after it began to. */
  startAndDie(stateDir: string, request: StartRequest, afterMs: number): Promise<void>
}

/** Opens a launcher for the running test; afterwards everything it knows of is stopped and its directory is removed. */
export async function bench(factory: LauncherFactory, setup: LauncherSetup = {}): Promise<LauncherBench> {
  const stateDir = setup.stateDir ?? `/tmp/muster-test-${systemIds.token().slice(0, 12)}`
  const opened = await factory.open({ ...setup, stateDir })
  onTestFinished(async () => {
    if (setup.stateDir === undefined) {
      await clean(opened)
      await opened.transport.run(`rm -rf ${stateDir}`)
    }
    await opened.close()
  })
  return opened
}

async function clean({ launcher }: LauncherBench): Promise<void> {
  const keys = (await launcher.list(RECORD)).map(({ key }) => key).filter(({ attempt, token }) => attempt > 0 && token)
  await Promise.all(keys.map((key) => launcher.stop(key, { graceMs: 50, reason: 'cancelled' }).catch(() => undefined)))
}

/** The record of all requests that say nothing else. */
export const RECORD = 'record-1'

/** A key that nobody has used. */
export function newKey(): AttemptKey {
  return { jobId: systemIds.next(), attempt: 1, token: systemIds.token() }
}

/** A request for a script, or for a plan. */
export function request(
  work: string | (Partial<LaunchPlan> & Pick<LaunchPlan, 'command'>),
  more: Partial<StartRequest> = {},
): StartRequest {
  const plan = typeof work === 'string' ? { command: { script: work } } : work
  return {
    key: newKey(),
    recordId: RECORD,
    epoch: 1,
    plan: { env: {}, artifacts: [], ...plan },
    secrets: {},
    gpus: [],
    graceMs: 300,
    ...more,
  }
}

/** What an ended attempt looks like. */
export type Ended = Extract<Observation, { status: 'exited' }>

/** One attempt as its machine sees it. */
export async function look({ launcher }: Pick<LauncherBench, 'launcher'>, key: AttemptKey): Promise<Observation> {
  const [seen] = await launcher.inspect([key])
  if (!seen) throw new Error('inspect gave no observation')
  return seen
}

/** Waits until an attempt is over, and gives its end. */
export async function ended(at: Pick<LauncherBench, 'launcher'>, key: AttemptKey, withinMs = 20_000): Promise<Ended> {
  const until = systemClock.monotonic() + withinMs
  for (;;) {
    const seen = await look(at, key)
    if (seen.status === 'exited') return seen
    if (seen.status !== 'running' || systemClock.monotonic() > until) expect.fail(`not ended: ${JSON.stringify(seen)}`)
    await systemClock.sleep(15)
  }
}

/** Starts and waits for the end. */
export async function completed(at: LauncherBench, what: StartRequest): Promise<Ended> {
  expect(await at.launcher.start(what)).toMatchObject({ started: true })
  return ended(at, what.key)
}

/** The whole log as text. */
export async function logText({ launcher }: Pick<LauncherBench, 'launcher'>, key: AttemptKey): Promise<string> {
  return (await launcher.logs(key, { offset: 0, maxBytes: 2 ** 26 })).bytes.toString()
}

/** Waits until the log holds a text. */
export async function logged(at: Pick<LauncherBench, 'launcher'>, key: AttemptKey, text: string): Promise<void> {
  await expect.poll(() => logText(at, key), { timeout: 10_000, interval: 20 }).toContain(text)
}

/** How many live processes of the machine have this text in their command line, zombies aside. */
export async function processes({ transport }: Pick<LauncherBench, 'transport'>, text: string): Promise<number> {
  const pattern = `${text.slice(0, -1)}[${text.slice(-1)}]`
  const { stdout } = await transport.run(`grep -lsa -- '${pattern}' /proc/[0-9]*/cmdline | wc -l`)
  return Number(stdout.toString())
}

/** The attempt's directory on the machine. */
export function home({ stateDir }: Pick<LauncherBench, 'stateDir'>, { jobId, attempt }: AttemptKey): string {
  return `${stateDir}/attempts/${jobId}.${attempt}`
}

/** A number of seconds that only one test sleeps for, so that its processes can be counted. */
export function uniqueSleep(): string {
  return `7${String(BigInt(`0x${systemIds.token().slice(0, 10)}`)).padStart(13, '0')}`
}
