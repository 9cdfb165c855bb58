/** What every command does around its work: open the record, say which it is, close it whatever happens. */
import { createLogger, type Logger } from '@muster/core'
import { open, type JobHandle, type Muster, type OpenOptions } from '@muster/sdk'
import type { Io } from './io.js'

/** Does a command's work with an open muster. */
export async function withMuster<T>(
  io: Io,
  schedule: NonNullable<OpenOptions['schedule']>,
  work: (muster: Muster) => Promise<T>,
): Promise<T> {
  const muster = await open({
    schedule,
    logger: loggerOf(io),
    onWarning: (warning) => {
      io.say(`${io.colors.yellow('warning:')} ${warning.message} ${io.colors.dim(`[${warning.code}]`)}`)
      io.say(`${io.colors.dim('hint:')} ${warning.hint}`)
    },
  })
  io.say(io.colors.dim(`record ${muster.location}`))
  try {
    return await work(muster)
  } finally {
    await io.patiently('closing', () => muster.close())
  }
}

/** The job that a person means: an id, a second name, or the unique beginning of an id. Throws JOB_NOT_FOUND, INVALID_ARGUMENT. */
export async function findJob(muster: Muster, text: string): Promise<JobHandle> {
  return muster.job(text.trim())
}

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
function loggerOf(io: Io): Logger {
  if (io.env['MUSTER_DEBUG'] === '1') return createLogger({ level: 'debug' })
  const quiet = (): void => undefined
  const say = (facts: object, message?: string): void => {
    if (message !== undefined) io.say(`${io.colors.yellow('warning:')} ${message}${detail(facts)}`)
  }
  return { debug: quiet, info: quiet, warn: say, error: say }
}

function detail(facts: object): string {
  return 'err' in facts && facts.err instanceof Error ? `: ${facts.err.message}` : ''
}
