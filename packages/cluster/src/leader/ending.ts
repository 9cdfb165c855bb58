/**
 * The end of an attempt: the machine's exit record decides, the worker turns what was left into a result, and one write stores
 * it all. A worker that throws changes no outcome: its complaint is stored in the result's place.
 */
import { createHash } from 'node:crypto'
import { mkdir, open, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  isMusterError,
  MusterError,
  type AttemptExit,
  type AttemptOutcome,
  type EventData,
  type JsonValue,
} from '@muster/core'
import type { JobRecord, StoredResult } from '@muster/job-manager'
import type { ExitRecord } from '../launch/launcher.js'
import { isWayBlocked } from '../machines/lost.js'
import type { Desk } from './desk.js'
import type { ManagedMachine } from './machine.js'
import { assigned, type Ending, type Tracked } from './tracked.js'

const INLINE_BYTES = 64 * 1024
const RESULT_BYTES = 64 * 1024 * 1024
const TAIL_BYTES = 8 * 1024
const TAIL_LINES = 20

/** Writes the end of an attempt. The exit record decides a race with a wish to cancel; a lost one that was to be cancelled is cancelled. */
export async function end(desk: Desk, machine: ManagedMachine, t: Tracked, ending: Ending): Promise<JobRecord> {
  if (ending.kind === 'lost') {
    const outcome = t.cancel || t.live.job.conditions.cancelRequested ? 'cancelled' : 'machine-lost'
    return desk.store.finish(
      desk.epoch,
      t.ref,
      { outcome, detail: { text: ending.text }, collecting: true },
      `machine:${machine.name}`,
    )
  }
  const { exit, startedAt, tree } = ending
  if (exit.outcome === 'never-started') return neverStarted(desk, t)
  const outcome: AttemptOutcome = exit.outcome
  const result = await resultOf(desk, machine, t, exit, outcome)
  const tail = outcome === 'succeeded' || exit.leftNothing ? [] : await lastLines(desk, machine, t, ending.logBytes)
  const detail: EventData = {
    ...(exit.detail !== undefined && { text: exit.detail }),
    ...(exit.possiblySignal && { possiblySignal: true }),
    ...(tail.length > 0 && { lastLines: tail }),
  }
  return desk.store.finish(
    desk.epoch,
    t.ref,
    {
      outcome,
      exitCode: exit.exitCode,
      signal: exit.signal,
      ...(result && { result }),
      detail,
      ...(startedAt !== null && { startedAt }),
      endedAt: exit.endedAt,
      tree,
      collecting: !exit.leftNothing,
    },
    `machine:${machine.name}`,
  )
}

async function neverStarted(desk: Desk, t: Tracked): Promise<JobRecord> {
  if (t.cancel || t.live.job.conditions.cancelRequested)
    return desk.store.finish(desk.epoch, t.ref, { outcome: 'cancelled' }, desk.actor)
  return desk.store.release(desk.epoch, t.ref, 'stopped before it started', desk.actor)
}

async function resultOf(
  desk: Desk,
  machine: ManagedMachine,
  t: Tracked,
  exit: ExitRecord,
  outcome: AttemptOutcome,
): Promise<StoredResult | undefined> {
  const worker = desk.workers.get(t.live.job.spec.worker)
  if (!worker)
    return {
      note: { code: 'UNKNOWN_WORKER', message: `the leader does not know the worker ${t.live.job.spec.worker}` },
    }
  try {
    const bytes = await resultBytes(desk, machine, t, exit)
    const { exitCode, signal } = exit
    const report: AttemptExit = {
      job: assigned(t),
      outcome,
      exitCode,
      signal,
      ...(bytes && { result: bytes }),
      workDir: machine.paths(t.key).work,
    }
    const value = await worker.collect(report, machine.access, machine.workerContext(t, desk.over))
    return value === undefined ? undefined : await storeResult(desk, value)
  } catch (error) {
    if (isWayBlocked(error) || desk.over.aborted) throw error
    desk.logger.warn({ err: error }, 'the result could not be collected')
    return {
      note: {
        code: isMusterError(error) ? error.code : 'RESULT_INVALID',
        message: error instanceof Error ? error.message : String(error),
      },
    }
  }
}

async function resultBytes(
  desk: Desk,
  machine: ManagedMachine,
  t: Tracked,
  exit: ExitRecord,
): Promise<Buffer | undefined> {
  if (exit.result === null) return undefined
  if (exit.result.inline) return exit.result.inline
  if (exit.result.bytes > RESULT_BYTES)
    throw new MusterError('RESULT_INVALID', `the result has ${exit.result.bytes} bytes, more than 64 MiB`)
  const pieces: Buffer[] = []
  for await (const piece of machine.access.get(machine.paths(t.key).result, { signal: desk.over })) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** Inline, or above 64 KiB a file of `files:` named by its digest, synced before the record names it. */
async function storeResult(desk: Desk, value: JsonValue): Promise<StoredResult> {
  const text = JSON.stringify(value)
  const bytes = Buffer.byteLength(text)
  if (bytes <= INLINE_BYTES) return { value }
  const digest = createHash('sha256').update(text).digest('hex')
  const path = resultPath(desk.filesDirectory, digest)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const file = await open(`${path}.${process.pid}.tmp`, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.${process.pid}.tmp`, path)
  return { file: { digest, bytes, host: desk.host } }
}

/** Where a large result lies. */
export function resultPath(filesDirectory: string, digest: string): string {
  return join(filesDirectory, 'results', `${digest}.json`)
}

/** The last lines of the log, for the record of a failure: a few, cleaned of nothing but their bytes beyond a bound. */
async function lastLines(desk: Desk, machine: ManagedMachine, t: Tracked, logBytes: number): Promise<string[]> {
  const { bytes } = await machine.launcher.logs(
    t.key,
    { offset: Math.max(0, logBytes - TAIL_BYTES), maxBytes: TAIL_BYTES },
    desk.over,
  )
  const lines = bytes
    .toString('utf8')
    .split('\n')
    .map((line) => line.replaceAll('\0', '\ufffd').slice(0, 500))
  if (lines.at(-1) === '') lines.pop()
  return lines.slice(-TAIL_LINES)
}
