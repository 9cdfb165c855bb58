/**
 * Launch: prepare, resolve secrets, start. May be interrupted anywhere and repeated: the attempt's key makes a second start the
 * same start. What ends here without a start is first closed on the machine (its claim is taken), so that nothing can start late.
 */
import { isMusterError } from '@muster/core'
import type { StartOutcome } from '../launch/launcher.js'
import { isWayBlocked } from '../machines/lost.js'
import type { Desk } from './desk.js'
import type { ManagedMachine } from './machine.js'
import { resolveSecrets } from './secrets.js'
import { assigned, type Tracked } from './tracked.js'

interface NotStarted {
  readonly started: false
}

/** What became of a launch: what the machine said of the start, or nothing runs and the record says why. */
export type Launched = Extract<StartOutcome, { started: true }> | NotStarted

/** Starts the attempt, or closes it: afterwards its phase is `observe`, or it is released or ended. */
export async function launch(desk: Desk, machine: ManagedMachine, t: Tracked): Promise<Launched> {
  const { spec } = t.live.job
  const worker = desk.workers.get(spec.worker)
  if (!worker) return giveBack(desk, machine, t, `${desk.actor} does not know the worker ${spec.worker}`)
  t.launch = new AbortController()
  const signal = AbortSignal.any([t.launch.signal, desk.over])
  try {
    const secrets = await resolveSecrets(spec.secrets)
    const plan = await worker.prepare(assigned(t), machine.access, machine.workerContext(t, signal))
    const outcome = await machine.launcher.start(
      {
        key: t.key,
        recordId: desk.store.recordId,
        epoch: desk.epoch,
        plan,
        secrets,
        gpus: t.live.attempt.gpus,
        ...(spec.timeoutMs !== undefined && { timeoutMs: spec.timeoutMs }),
        graceMs: spec.graceMs,
      },
      signal,
    )
    if (outcome.started) {
      desk.postponed.forget(t.ref.jobId)
      return outcome
    }
    if (outcome.reason === 'stopped') return await giveBack(desk, machine, t, 'stopped before it started')
    machine.avoid(outcome.gpus)
    return await giveBack(
      desk,
      machine,
      t,
      `GPUs held by another record on ${machine.name}: ${outcome.gpus.join(', ')}`,
    )
  } catch (error) {
    // Not the job's fault, or not yet known whether it started: the phase stays, and the keeper tries again.
    if (signal.aborted || isWayBlocked(error) || isMusterError(error, 'SCHEDULER_SUPERSEDED')) throw error
    if (isMusterError(error, 'SECRET_UNRESOLVED')) return await giveBack(desk, machine, t, error.message)
    if (isMusterError(error, 'COMMIT_UNAVAILABLE')) {
      desk.postponed.postpone(t.ref.jobId)
      return await giveBack(desk, machine, t, `${error.message}. ${error.hint}`)
    }
    return await fail(desk, machine, t, error)
  } finally {
    t.launch = null
  }
}

/** Closes an attempt that never started, on the machine first, and puts its job back in line. */
export async function giveBack(desk: Desk, machine: ManagedMachine, t: Tracked, reason: string): Promise<NotStarted> {
  await machine.launcher.stop(t.key, { graceMs: 0, reason: 'cancelled' }, desk.over)
  await desk.store.release(desk.epoch, t.ref, reason, desk.actor)
  return { started: false }
}

async function fail(desk: Desk, machine: ManagedMachine, t: Tracked, error: unknown): Promise<NotStarted> {
  await machine.launcher.stop(t.key, { graceMs: 0, reason: 'cancelled' }, desk.over)
  const said = error instanceof Error ? error.message : String(error)
  // The line that mends it belongs to the job's history: whoever reads that did not see the error.
  const text = isMusterError(error) ? `${said}. ${error.hint}` : said
  const code = isMusterError(error) ? error.code : 'LAUNCH_FAILED'
  desk.logger.warn({ err: error, machine: machine.name }, 'an attempt could not be launched')
  await desk.store.finish(desk.epoch, t.ref, { outcome: 'launch-failed', detail: { code, text } }, desk.actor)
  return { started: false }
}
