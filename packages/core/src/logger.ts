/** Logging: pino, with the job's context mixed into every line. Whoever embeds muster may pass any object of this shape. */
import { pino, type DestinationStream } from 'pino'
import { currentJob } from './context.js'

/** What muster needs of a logger; a pino logger fits. */
export interface Logger {
  debug(facts: object, message?: string): void
  info(facts: object, message?: string): void
  warn(facts: object, message?: string): void
  error(facts: object, message?: string): void
}

/** A pino logger that writes JSON lines to standard error (or `destination`), each with `jobId` and `attempt` where one is handled. */
export function createLogger(options: { level?: string; destination?: DestinationStream } = {}): Logger {
  const settings = { name: 'muster', level: options.level ?? 'warn', mixin: () => ({ ...currentJob() }) }
  return pino(settings, options.destination ?? pino.destination({ fd: 2, sync: true }))
}

/** A logger that says nothing. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}
