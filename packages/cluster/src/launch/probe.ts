/**
 * Probe: how a machine is equipped and what it lacks, in one round trip (and a few more where that one was too slow to tell the
 * time by). Invariant: what a tool does not know is null, never a guess; a limit of the cgroup counts as the machine's size.
 */
import type { Clock } from '@muster/core'
import type { Transport } from '../machines/transport.js'
import type { MachineFacts } from './facts.js'
import type { GpuProbe, Probe } from './launcher.js'
import { endsAtLogout } from './logind.js'
import type { MachineShell } from './machine-shell.js'
import { CLOCK_SCRIPT, PROBE_SCRIPT } from './probe-script.js'
import { problemsOf } from './problems.js'
import { skewOf, type Exchange } from './skew.js'

/** A skew known less well than this is asked for again, milliseconds. */
const WITHIN_MS = 250
const EXCHANGES = 4

/** See Launcher.probe. */
export async function probeMachine(shell: MachineShell, clock: Clock, signal?: AbortSignal): Promise<Probe> {
  const facts = await shell.facts()
  const ask = async (script: string): Promise<Exchange> => {
    const before = clock.now()
    const { stdout } = await shell.ask(() => script, { signal })
    return { before, after: clock.now(), said: stdout.toString() }
  }
  const whole = await ask(PROBE_SCRIPT)
  const exchanges: Exchange[] = [{ ...whole, said: /^clock=(.*)$/m.exec(whole.said)?.[1] ?? '' }]
  while (exchanges.length < EXCHANGES && (skewOf(exchanges)?.withinMs ?? 0) > WITHIN_MS)
    exchanges.push(await ask(CLOCK_SCRIPT))
  return readProbe(whole.said, facts, { skewMs: skewOf(exchanges)?.skewMs ?? 0, maxSessions: sessionsOf(shell) })
}

/** Reads the script's answer. Pure. */
export function readProbe(
  text: string,
  facts: MachineFacts,
  { skewMs, maxSessions }: { readonly skewMs: number; readonly maxSessions: number | null },
): Probe {
  const values = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const match = /^([a-z]+)=(.*)$/.exec(line)
    if (match) values.set(match[1] ?? '', [...(values.get(match[1] ?? '') ?? []), match[2] ?? ''])
  }
  const all = (name: string): readonly string[] => values.get(name) ?? []
  const first = (name: string): string => all(name)[0] ?? ''
  const probe = {
    os: first('os'),
    arch: first('arch'),
    cpus: Math.max(1, Math.min(Number(first('cpus')) || 1, ...all('quota').map(cpusOf))),
    memoryBytes: Math.min(Number(first('memory')) * 1024 || 0, ...all('limit').map(bytesOf)),
    disk: { path: facts.stateDir, freeBytes: available(first('disk'), 1024), fileSystem: facts.fileSystem },
    gpus: readGpus(all('gpu'), all('app'), new Set(all('mark'))),
    gitVersion: /(\d+\.\d+(?:\.\d+)*)/.exec(first('git'))?.[1] ?? null,
    shell: first('shell'),
    bootId: first('boot'),
    clockSkewMs: skewMs,
    maxSessions,
    tree: treeOf(facts),
    stateDir: facts.stateDir,
    user: first('user'),
    hostname: first('hostname'),
  }
  const logout = endsAtLogout({
    cgroups: all('cgroup'),
    bus: all('bus'),
    files: all('logind'),
    settings: all('logindsays'),
    lingers: first('lingers') === 'yes',
    user: probe.user,
  })
  const cleaners = all('cleaner').flatMap((line) => {
    const [, age, path, program] = /^(\S+) (.+) (\S+)$/.exec(line) ?? []
    return age !== undefined && path !== undefined && program !== undefined ? [{ age, path, program }] : []
  })
  const findings = { facts, freeInodes: available(first('inodes'), 1), logout, cleaners }
  return { ...probe, problems: problemsOf(probe, findings) }
}

/** How many sessions one connection to the machine may hold, where its transport has found out. */
function sessionsOf(shell: MachineShell): number | null {
  const transport: Transport & { sessionLimit?: () => number | null } = shell.transport
  return transport.sessionLimit?.() ?? null
}

/** Whole CPUs of a cgroup's `QUOTA PERIOD` (`max 100000`, `-1 100000`). */
function cpusOf(line: string): number {
  const [quota, period] = line.split(' ').map(Number)
  return quota !== undefined && period !== undefined && quota > 0 && period > 0
    ? Math.max(1, Math.floor(quota / period))
    : Infinity
}

function bytesOf(line: string): number {
  return /^\d+\s*$/.test(line) ? Number(line) : Infinity
}

/** The column `Available` of df -P, in units of `unit` bytes; null where it has none. Behind it come only the use and the mount point. */
function available(line: string, unit: number): number | null {
  const [, count] = /\s(\d+)\s+\d+%\s+\//.exec(line) ?? []
  return count === undefined ? null : Number(count) * unit
}

function readGpus(rows: readonly string[], apps: readonly string[], ours: ReadonlySet<string>): GpuProbe[] {
  const strangers = apps.map((app) => app.split(' ')).filter(([, , mark = '']) => !ours.has(mark))
  return rows.flatMap((row) => {
    const [uuid = '', model = '', total = '', used = ''] = row.split(/,\s*/)
    if (!/^[A-Za-z0-9][A-Za-z0-9-]*$/.test(uuid)) return []
    const pids = strangers.filter(([gpu]) => gpu === uuid).map(([, pid]) => Number(pid))
    return [{ uuid, model, memoryBytes: mebibytes(total), usedBytes: mebibytes(used), strangers: pids }]
  })
}

function mebibytes(text: string): number | null {
  return /^\d+$/.test(text.trim()) ? Number(text) * 2 ** 20 : null
}

function treeOf(facts: MachineFacts): string {
  return facts.perl && facts.children ? 'subreaper' : facts.limit ? 'marker' : 'best-effort'
}
