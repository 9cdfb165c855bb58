/**
 * Brings a commit from the controller's mirror into a mirror on the machine: a pack of what the machine lacks, over the
 * connection that is there. The machine needs no key and no network. Invariant: the keep ref there is written last, so
 * whatever is interrupted is simply sent again.
 */
import { MusterError, isMusterError, type Clock, type MachineAccess, type RunResult } from '@muster/core'
import { runGit, startGit, type GitCall } from './git.js'
import type { Mirror } from './mirror.js'
import { whatItLacks } from './lacking.js'
import { EXIT, askScript, receiveScript } from './send-scripts.js'

/** What a sending needs besides its subject. */
export interface SendContext {
  readonly signal: AbortSignal
  readonly clock: Clock
  progress(text: string): void
}

/** Makes the machine's mirror hold the commit, and says where that mirror lies. Throws LAUNCH_FAILED, and as {@link whatItLacks} says. */
export async function send(
  mirror: Mirror,
  commit: string,
  machine: MachineAccess,
  context: SendContext,
): Promise<string> {
  const there = `${machine.stateDir}/cache/git/${mirror.id}.git`
  const { signal, clock } = context
  const call: GitCall = { config: 'none', signal, clock }
  const asked = await machine.run(askScript(there, commit), { signal })
  if (asked.code === EXIT.alreadyThere) return there
  if (asked.code !== 0) throw refused(machine, asked)
  const haves = await commonCommits(mirror, asked.stdout.toString('utf8'), call)
  context.progress(`sending commit ${commit.slice(0, 12)} to ${machine.name}`)
  await sendPack(mirror, commit, haves, there, machine, call)
  return there
}

/** Of what the machine says it has, the commits that are here, too: pack-objects dies on a name it does not know. */
async function commonCommits(mirror: Mirror, said: string, call: GitCall): Promise<string[]> {
  const names = said.split('\n').filter((line) => /^[0-9a-f]{40}$|^[0-9a-f]{64}$/.test(line))
  if (names.length === 0) return []
  const check = [`--git-dir=${mirror.directory}`, 'cat-file', '--batch-check', '--buffer']
  const { stdout } = await runGit(check, { ...call, stdin: names.map((name) => `${name}\n`).join('') })
  return stdout.split('\n').flatMap((line) => /^([0-9a-f]+) commit \d+$/.exec(line)?.[1] ?? [])
}

async function sendPack(
  mirror: Mirror,
  commit: string,
  haves: readonly string[],
  there: string,
  machine: MachineAccess,
  call: GitCall,
): Promise<void> {
  const stop = new AbortController()
  const packing = startGit(packArguments(mirror), {
    ...call,
    signal: AbortSignal.any([call.signal, stop.signal]),
    stdin: packInput(mirror, commit, haves),
  })
  const packed = packing.ended.then(
    () => undefined,
    (error: unknown) => error,
  )
  const received = await machine
    .run(receiveScript(there, commit, mirror), { stdin: packing.stdout, signal: call.signal })
    // A machine that stopped listening must not leave us packing.
    .finally(() => stop.abort())
  if (received.code === 0) return
  const ownFault = await packed
  // Killed by a signal it died of the machine's end, not the other way round.
  throw isMusterError(ownFault) && ownFault.details['exitCode'] !== null ? ownFault : refused(machine, received)
}

function packArguments(mirror: Mirror): string[] {
  const shallow = mirror.history === 'snapshot' ? ['--shallow'] : []
  const pack = ['pack-objects', '--revs', '--thin', ...shallow, '--stdout', '--delta-base-offset', '-q']
  return [`--git-dir=${mirror.directory}`, ...pack]
}

/** A snapshot cuts history at the commit and at all that the machine has: there is none behind them. */
function packInput(mirror: Mirror, commit: string, haves: readonly string[]): string {
  const cuts = mirror.history === 'snapshot' ? [commit, ...haves].map((name) => `--shallow ${name}`) : []
  return [...cuts, commit, ...haves.map((name) => `^${name}`), ''].join('\n')
}

function refused(machine: MachineAccess, result: RunResult): MusterError {
  const { code, signal, stderr } = result
  const said = stderr.toString('utf8').trim().split('\n').slice(-3).join(' ').slice(0, 1_000)
  const lacking = whatItLacks(machine, result)
  if (lacking) return lacking
  const how = code === null ? `signal ${signal ?? 'unknown'}` : `exit ${code}`
  return new MusterError('LAUNCH_FAILED', `${machine.name} could not take the commit (${how}): ${said}`)
}
