/** What every command does around its work: open the record, say which it is, close it whatever happens. */
import { createLogger, isMusterError, MusterError, type Logger } from '@muster/core'
import { open, type JobHandle, type Muster, type OpenOptions } from '@muster/sdk'
import { closeOnSignal } from './interrupts.js'
import type { Io } from './io.js'

/**
 * Does a command's work with an open muster. `showRisks`: also says what the settings of the queue's server put at risk, which a person wants
 * to know who starts a controller or looks at queues, and not with every command that happens to reach the server.
 */
export async function withMuster<T>(
  io: Io,
  schedule: NonNullable<OpenOptions['schedule']>,
  work: (muster: Muster) => Promise<T>,
  { showRisks = false } = {},
): Promise<T> {
  const muster = await open({
    schedule,
    logger: loggerOf(io, showRisks),
    onWarning: (warning) => {
      io.say(`${io.colors.yellow('warning:')} ${warning.message} ${io.colors.dim(`[${warning.code}]`)}`)
      io.say(`${io.colors.dim('hint:')} ${warning.hint}`)
    },
  })
  io.say(io.colors.dim(`record ${muster.location}`))
  const dismiss = schedule === 'care' ? closeOnSignal(() => muster.close()) : undefined
  try {
    return await work(muster)
  } finally {
    dismiss?.()
    await io.patiently('closing', () => muster.close())
  }
}

/**
 * The job that a person means: an id, a second name, or the beginning of an id (at least 6 digits) that only one job has.
 * Throws JOB_NOT_FOUND, INVALID_ARGUMENT where it fits several.
 */
export async function findJob(muster: Muster, text: string): Promise<JobHandle> {
  try {
    return await muster.job(text)
  } catch (error) {
    if (!isMusterError(error, 'JOB_NOT_FOUND') || !/^[0-9a-f-]{6,35}$/.test(text)) throw error
    const found = await idsBeginningWith(muster, text)
    const [id] = found
    if (id === undefined) throw error
    if (found.length === 1) return muster.job(id)
    throw new MusterError('INVALID_ARGUMENT', `several jobs begin with ${text}: ${found.slice(0, 5).join(', ')}`, {
      hint: 'Give more of the id.',
    })
  }
}

/** An id begins with the time of its birth, so its beginning bounds when the job was recorded: few rows are looked at. */
async function idsBeginningWith(muster: Muster, text: string): Promise<string[]> {
  const digits = text.replaceAll('-', '').slice(0, 12)
  const earliest = parseInt(digits.padEnd(12, '0'), 16)
  const latest = parseInt(digits.padEnd(12, 'f'), 16)
  const filter = { createdAfter: earliest - CLOCK_SLACK_MS, createdBefore: latest + CLOCK_SLACK_MS }
  const found: string[] = []
  for (let after: string | undefined; found.length < 6;) {
    const page = await muster.jobs.listJobs(filter, { limit: 1_000, ...(after !== undefined && { after }) })
    found.push(...page.jobs.map(({ id }) => id).filter((id) => id.startsWith(text)))
    after = page.next
    if (after === undefined) break
  }
  return found
}

/** Between the clock that made an id and the one that recorded it. */
const CLOCK_SLACK_MS = 60_000

/** Runs `work` for each id, reports what fails and goes on. Gives the exit code. */
export async function forEach(
  ids: readonly string[],
  work: (id: string) => Promise<void>,
  failed: (error: unknown) => void,
): Promise<number> {
  let code = 0
  for (const id of ids)
    try {
      await work(id)
    } catch (error) {
      failed(error)
      code = 1
    }
  return code
}

/** Warnings as lines for a person; everything, as pino writes it, under MUSTER_DEBUG=1. */
function loggerOf(io: Io, showRisks: boolean): Logger {
  if (io.env['MUSTER_DEBUG'] === '1') return createLogger({ level: 'debug' })
  const quiet = (): void => undefined
  const say = (facts: object, message?: string): void => {
    if (message !== undefined && (showRisks || !('risks' in facts)))
      io.say(`${io.colors.yellow('warning:')} ${message}${detail(facts)}`)
  }
  return { debug: quiet, info: quiet, warn: say, error: say }
}

function detail(facts: object): string {
  return 'err' in facts && facts.err instanceof Error ? `: ${facts.err.message}` : ''
}
