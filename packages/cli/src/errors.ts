/** What a person sees of an error: message, hint and code, never a stack (MUSTER_DEBUG=1 shows it). */
import { isMusterError } from '@muster/core'
import { sanitize } from './render/sanitize.js'
import type { Io } from './io.js'

/** Prints an error: as lines on standard error, or with `--json` as one object there. */
export function report(io: Io, error: unknown, json: boolean): void {
  io.live('')
  if (json) io.err.write(`${JSON.stringify({ type: 'error', error: plain(error) })}\n`)
  else for (const line of lines(io, error)) io.err.write(`${line}\n`)
  if (io.env['MUSTER_DEBUG'] === '1' && error instanceof Error) io.err.write(`${error.stack ?? ''}\n`)
}

function plain(error: unknown): object {
  return isMusterError(error) ? error.toJSON() : { code: 'INTERNAL', message: messageOf(error) }
}

function lines(io: Io, error: unknown): string[] {
  const { red, dim } = io.colors
  // Messages may quote what a job or a machine said.
  const message = messageOf(error)
    .split('\n')
    .map((line) => sanitize(line, false))
  const head = `${red('error:')} ${message.join('\n')}`
  if (!isMusterError(error)) return [head, dim('This is a fault of muster itself; MUSTER_DEBUG=1 shows where.')]
  return [`${head} ${dim(`[${error.code}]`)}`, `${dim('hint:')} ${sanitize(error.hint, false)}`]
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
