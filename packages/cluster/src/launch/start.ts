/**
 * Start: makes the attempt's directory, writes its key, looks at the epoch, and lets a detached supervisor claim it, many in one round
 * trip. Killed anywhere, a second start either launches or finds what is there: only the claim counts.
 */
import { MusterError, type Clock } from '@muster/core'
import { gather } from './gather.js'
import type { StartOutcome, StartRequest } from './launcher.js'
import type { MachineShell } from './machine-shell.js'
import { attemptName } from './names.js'
import { planText, type PlanSettings } from './plan.js'
import { startScript, type Starting } from './start-script.js'

/** Attempts to get a word out of a machine where another contender holds the lock without having claimed yet. */
const PATIENCE = 40
/** What goes in one round trip: a script is one line, which the far shell holds in its memory. */
const MOST = 32
const ROOM_BYTES = 256 * 1024
/** A start that is stuck holds up others no longer than this. */
const PATIENCE_MS = 100

/** Starts attempts on one machine. See Launcher.start. */
export type Starter = (request: StartRequest, settings: PlanSettings) => Promise<StartOutcome>

/** What the machine said of one start: a verdict, and perhaps what went wrong. */
type Said = readonly string[]

/** The starter of one machine. */
export function starter(shell: MachineShell, clock: Clock, oomEventsPath: string): Starter {
  const ask = gather<Starting, Said>({
    ask: (starts) => askToStart(shell, starts, { nowMs: clock.now(), oomEventsPath }),
    size: ({ plan }) => plan.length,
    ...{ room: ROOM_BYTES, most: MOST, patienceMs: PATIENCE_MS, clock },
  })
  return async (request, settings) => {
    const name = attemptName(request.key)
    const starting = { name, request, plan: planText(request, settings) }
    for (let tries = 1; ; tries += 1) {
      const [line = '', ...said] = await ask(starting)
      const outcome = judge(line, name)
      if (outcome) return outcome
      if (tries === PATIENCE) {
        const complaint = [line, ...said].filter(Boolean).join(' ')
        const message = `${name}: the supervisor did not start${complaint ? `: ${complaint}` : ''}`
        throw new MusterError('LAUNCH_FAILED', message)
      }
      await clock.sleep(25)
    }
  }
}

/** One round trip. Lines begin with the name of their attempt; what the machine's tools complain of is everybody's. */
async function askToStart(
  shell: MachineShell,
  starts: readonly Starting[],
  settings: { readonly nowMs: number; readonly oomEventsPath: string },
): Promise<readonly Said[]> {
  const { stdout, stderr } = await shell.ask((facts) => startScript(starts, facts, settings))
  const lines = stdout.toString().split('\n')
  const complaint = stderr.toString().trim().slice(-300)
  return starts.map(({ name }) => {
    const mine = lines.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1))
    return complaint ? [...mine, complaint] : mine
  })
}

/** Reads what m_say printed; undefined where nobody has claimed it yet. */
function judge(line: string, name: string): StartOutcome | undefined {
  const [verdict = '', why = '', at = '0', tree = '-'] = line.split(' ')
  const taken = /^gpu-taken:(.+)$/.exec(why)
  switch (verdict) {
    case 'running':
    case 'exited':
    case 'gone':
      return { started: true, startedAt: Number(at) || null, tree }
    case 'stopped':
      return taken
        ? { started: false, reason: 'gpu-taken', gpus: (taken[1] ?? '').split(',') }
        : { started: false, reason: 'stopped' }
    case 'superseded':
      throw new MusterError('SCHEDULER_SUPERSEDED', `${name}: the machine knows a newer leader (epoch ${why})`)
    case 'foreign':
      throw new MusterError('LAUNCH_FAILED', `${name} exists on the machine under another token`, { retryable: false })
    default:
      return undefined
  }
}
