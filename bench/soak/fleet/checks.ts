/**
 * The record held against what the jobs themselves said on their machines, and against the faults that happened. Every line that comes
 * out of here is a lie of the record, a second run, or a lost one.
 */
import type { AttemptRecord, JobRecord } from '@muster/job-manager'
import type { JobEventRecord } from '@muster/core'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Strike } from './faults.js'
import { expectedLog, KINDS, type Kind } from './jobs.js'

/** What one run of an attempt said: on which machine, and when, in seconds of the machines' common clock. */
export interface Run {
  readonly machine: string
  starts: number
  ends: number
  exitCode: number | null
  first: number
  last: number
}

/** A job with everything that the record says of it. */
export interface Recorded {
  readonly job: JobRecord
  readonly attempts: readonly AttemptRecord[]
  readonly history: readonly JobEventRecord[]
}

/** Reads what jobs wrote on a machine into `runs`, by `JOB.N`. Gives what is wrong with it. */
export function readLedger(machine: string, text: string, runs: Map<string, Run>): string[] {
  const problems: string[] = []
  for (const line of text.split('\n').filter(Boolean)) {
    const [, now = '', name = '', word = '', code] =
      /^(\d+\.\d+) (\S+\.\d+) (start|tick|end)(?: (\d+))?$/.exec(line) ?? []
    if (name === '') {
      problems.push(`${machine}: a line of the ledger cannot be read: ${line}`)
      continue
    }
    const known = runs.get(name)
    if (known && known.machine !== machine) problems.push(`${name} ran on ${known.machine} and on ${machine}`)
    const run = known ?? { machine, starts: 0, ends: 0, exitCode: null, first: Number(now), last: 0 }
    if (word === 'start') run.starts += 1
    if (word === 'end') {
      run.ends += 1
      run.exitCode = Number(code)
    }
    run.last = Number(now)
    runs.set(name, run)
  }
  return problems
}

/** What is wrong with a job. `files` is where collected logs lie. */
export function checkJob(
  { job, attempts, history }: Recorded,
  kind: Kind,
  runs: ReadonlyMap<string, Run>,
  strikes: readonly Strike[],
  files: string,
): string[] {
  const fate = KINDS[kind]
  const problems: string[] = []
  const wrong = (text: string): void => void problems.push(`${job.id} (${kind}): ${text}`)
  const end = job.state === 'failed' ? `failed ${String(job.reason)}` : job.state
  if (!fate.states.includes(end)) wrong(`ended ${end}`)
  const endings = history.filter(({ action }) => action === 'succeed' || action === 'fail' || action === 'cancel')
  if (endings.length !== 1) wrong(`ended ${endings.length} times`)
  if (Object.keys(job.conditions).some((name) => name !== 'cancelRequested'))
    wrong(`still has ${JSON.stringify(job.conditions)}`)
  if (kind === 'retried' && attempts.filter(({ outcome }) => outcome === 'exit').length !== 2)
    wrong(`ended by itself ${attempts.filter(({ outcome }) => outcome === 'exit').length} times, not twice`)
  for (const attempt of attempts) checkAttempt(attempt)
  if (kind !== 'replaceable') checkOrder()
  return problems

  function checkAttempt(attempt: AttemptRecord): void {
    const name = `${job.id}.${attempt.number}`
    const run = runs.get(name)
    const bad = (text: string): void =>
      wrong(`attempt ${attempt.number} on ${attempt.machine} (${String(attempt.outcome)}): ${text}`)
    if (attempt.endedAt === null || attempt.outcome === null) return bad('has no end')
    if (attempt.notConfirmedGone) bad('was never confirmed gone')
    if (run && run.machine !== attempt.machine) bad(`ran on ${run.machine}`)
    if (run && run.starts !== 1) bad(`ran ${run.starts} times`)
    if (run && run.ends > 1) bad(`came to its end ${run.ends} times`)
    switch (attempt.outcome) {
      case 'released':
        if (run) bad('ran all the same')
        return
      case 'machine-lost':
        return checkLoss(attempt, bad)
      case 'cancelled':
        if (!fate.outcomes.includes('cancelled')) bad('nobody asked for that')
        return
      case 'succeeded':
      case 'exit':
        if (!fate.outcomes.includes(attempt.outcome)) return bad('no such end was possible')
        if (attempt.exitCode !== fate.exitCode) bad(`exit code ${String(attempt.exitCode)}`)
        if (run?.ends !== 1 || run.exitCode !== fate.exitCode)
          return bad(`did not come to that end: ${JSON.stringify(run)}`)
        return checkLeft(attempt, bad)
      default:
        if (!fate.outcomes.includes(attempt.outcome)) bad(`no such end was possible: ${JSON.stringify(attempt.detail)}`)
        else if (!run) bad('never ran')
    }
  }

  /** Lost is only what a fault took. */
  function checkLoss(attempt: AttemptRecord, bad: (text: string) => void): void {
    const text = JSON.stringify(attempt.detail['text'] ?? null)
    const name = `${job.id}.${attempt.number}`
    const meanwhile = strikes.filter(
      ({ machine, fromMs, untilMs }) =>
        machine === attempt.machine && untilMs >= attempt.placedAt && fromMs <= (attempt.endedAt ?? 0),
    )
    const true_ = text.includes('rebooted')
      ? meanwhile.some(({ fault }) => fault === 'reboot')
      : text.includes('supervisor was killed')
        ? strikes.some((strike) => strike.attempt === name)
        : kind === 'replaceable' && text.includes('onLost') && meanwhile.length > 0
    if (!true_) bad(`nothing happened that explains: ${text}`)
  }

  /** The result and every byte of the log of an attempt that came to its end. */
  function checkLeft(attempt: AttemptRecord, bad: (text: string) => void): void {
    const name = `${job.id}.${attempt.number}`
    const value = job.attempt === attempt.number && job.result && 'value' in job.result ? job.result.value : undefined
    const { of: whose, ticks } = (value ?? {}) as { readonly of?: string; readonly ticks?: number }
    if (job.attempt === attempt.number && whose !== name) bad(`its result is ${JSON.stringify(job.result)}`)
    if (!attempt.files) return bad('its log was not brought')
    const log = readFileSync(join(files, attempt.files.directory, 'log'), 'utf8')
    const expected = expectedLog(name, ticks ?? log.split('\n').length - 3)
    if (log !== expected) bad(`its log is ${JSON.stringify(log.slice(0, 300))}`)
  }

  /** P3: the next attempt begins when nothing of the one before it lives. */
  function checkOrder(): void {
    const lives = attempts.flatMap(({ number }) => {
      const run = runs.get(`${job.id}.${number}`)
      return run ? [{ number, ...run }] : []
    })
    for (const [at, { number, last }] of lives.entries()) {
      const next = lives[at + 1]
      if (next && next.first < last) wrong(`attempt ${number} still lived when attempt ${next.number} began`)
    }
  }
}

/** What ran without being in the record. */
export function checkStrangers(recorded: readonly Recorded[], runs: ReadonlyMap<string, Run>): string[] {
  const known = new Set(recorded.flatMap(({ attempts }) => attempts.map(({ jobId, number }) => `${jobId}.${number}`)))
  return [...runs.keys()].filter((name) => !known.has(name)).map((name) => `${name} ran and is not in the record`)
}
