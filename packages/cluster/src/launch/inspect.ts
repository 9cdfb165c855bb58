/** Inspect: all attempts of a machine in one round trip, read by the far shell without starting a process for each. */
import { systemIds, type Clock } from '@muster/core'
import { constants } from 'node:os'
import type { AttemptKey, ExitRecord, Observation, RunFacts } from './launcher.js'
import type { MachineShell } from './machine-shell.js'
import { attemptName, markOf } from './names.js'
import { LineReader } from './line-reader.js'

const INLINE_BYTES = 65_536
const SIGNALS = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]))

/** See Launcher.inspect. */
export async function inspectAttempts(
  shell: MachineShell,
  keys: readonly AttemptKey[],
  clock: Clock,
  signal?: AbortSignal,
): Promise<readonly Observation[]> {
  if (keys.length === 0) return []
  const nonce = systemIds.token()
  const words = keys.flatMap((key) => [attemptName(key), key.token])
  const { stdout } = await shell.ask(() => `m_inspect ${nonce} ${words.join(' ')}\n`, { signal })
  return readObservations(stdout, keys, nonce, clock.now())
}

/** Reads what m_inspect printed. Pure; a line that is not as expected counts as unknown, not as an end. */
export function readObservations(
  output: Buffer,
  keys: readonly AttemptKey[],
  nonce: string,
  nowMs: number,
): readonly Observation[] {
  const reader = new LineReader(output, nonce)
  const found = keys.map((key) => readOne(reader, key, nowMs))
  reader.line()
  const sizes = readSizes(reader)
  const progress = readProgress(reader.rest())
  return found.map((observation): Observation => {
    if (observation.status === 'absent' || observation.status === 'foreign') return observation
    const name = attemptName(observation.key)
    return { ...observation, logBytes: sizes.get(name) ?? observation.logBytes, progress: progress.get(name) ?? null }
  })
}

function readOne(reader: LineReader, key: AttemptKey, nowMs: number): Observation {
  const [state = '', at = '0', tree = '-', why = '-'] = reader.line().split(' ')
  const facts: RunFacts = { startedAt: Number(at) || null, tree, logBytes: 0, progress: null }
  switch (state) {
    case 'absent':
    case 'open':
      return { key, status: 'absent' }
    case 'running':
      return { key, status: 'running', ...facts }
    case 'stopped':
      return { key, status: 'exited', exit: neverStarted(Number(at) || nowMs, why), ...facts, startedAt: null }
    case 'exited':
      return { key, status: 'exited', ...readExit(reader, facts) }
    case 'gone': {
      const survivors = reader.line().split(' ').filter(Boolean).map(Number)
      return { key, status: 'gone', reason: why === 'reboot' ? 'reboot' : 'supervisor-killed', survivors, ...facts }
    }
    default:
      return { key, status: 'foreign' }
  }
}

function readExit(reader: LineReader, facts: RunFacts): RunFacts & { readonly exit: ExitRecord } {
  return exitOf(facts, reader.line(), reader.line(), reader.untilNonce())
}

/** The words of an exit record, what they say in detail, and the bytes of a small result. */
function exitOf(
  facts: RunFacts,
  words: string,
  detail = '',
  bytes: Buffer = Buffer.alloc(0),
): RunFacts & { readonly exit: ExitRecord } {
  const [outcome = '', code = '0', signal = '0', maybe = '0', endedAt = '0', size = '-1', stuck = '-', ...rest] =
    words.split(' ')
  const [logged = '0', left = ''] = rest
  const resultBytes = Number(size)
  const died = Number(signal) > 0
  const exit: ExitRecord = {
    outcome: outcome as ExitRecord['outcome'],
    exitCode: died ? null : Number(code),
    signal: died ? (SIGNALS.get(Number(signal)) ?? `SIG${signal}`) : null,
    ...(maybe === '1' ? { possiblySignal: true } : {}),
    endedAt: Number(endedAt),
    ...(detail === '' ? {} : { detail }),
    stuck: stuck === '-' ? [] : stuck.split(',').map(Number),
    ...(left === '-' ? { leftNothing: true } : {}),
    result: resultBytes < 0 ? null : { bytes: resultBytes, ...(resultBytes <= INLINE_BYTES ? { inline: bytes } : {}) },
  }
  return { ...facts, logBytes: Number(logged), exit }
}

/** What the last words of a supervisor say, `MARK STARTED TREE EXIT…`; undefined where they are not of this attempt. */
export function readLastWords(key: AttemptKey, line: string): Observation | undefined {
  const match = /^(\d+) (\d+) (\S+) ((?:\S+ ){8}\S+) end$/.exec(line)
  const [, mark = '', at = '0', tree = '', words = ''] = match ?? []
  if (mark !== markOf(key.token)) return undefined
  const facts: RunFacts = { startedAt: Number(at) || null, tree, logBytes: 0, progress: null }
  return { key, status: 'exited', ...exitOf(facts, words) }
}

function neverStarted(endedAt: number, detail: string): ExitRecord {
  return { outcome: 'never-started', exitCode: null, signal: null, endedAt, detail, stuck: [], result: null }
}

function readSizes(reader: LineReader): Map<string, number> {
  const lines = reader.untilNonce().toString().split('\n')
  return new Map(
    lines.flatMap((line) => {
      const match = /^(\d+) (.+)\/log$/.exec(line)
      return match ? [[match[2] ?? '', Number(match[1])] as const] : []
    }),
  )
}

/** The output of `tail -v`: a header before the end of each file. */
function readProgress(text: string): Map<string, { fraction: number; message: string }> {
  const parts = text.split(/^==> (.+)\/progress <==\n/m).slice(1)
  const found = new Map<string, { fraction: number; message: string }>()
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const progress = lastProgress(parts[at + 1] ?? '')
    if (progress) found.set(parts[at] ?? '', progress)
  }
  return found
}

/** The last whole line of the form `0.42 message`. */
export function lastProgress(text: string): { fraction: number; message: string } | undefined {
  const lines = text.split('\n').map((line) => /^\s*(\d*\.?\d+)(?:\s+(.*))?$/.exec(line))
  const last = lines.findLast((match) => match !== null)
  const fraction = Number(last?.[1])
  return last && fraction <= 1 ? { fraction, message: (last[2] ?? '').trimEnd() } : undefined
}
