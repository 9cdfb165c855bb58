/**
 * Killers of processes, on this host or inside a machine. Invariant: a victim is named by its pid, found by what its command
 * line or environment holds; init and the process that asks are never among them.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** Where a killer works: runs a script with /bin/sh there, with the rights to signal the victims, and gives its output. */
export type Place = (script: string) => Promise<string>

/** A process that was found. */
export interface Victim {
  readonly pid: number
  /** Its arguments, parted by spaces. */
  readonly command: string
}

/** Signals by which one kills or freezes, as `kill -s` names them. */
export type KillSignal = 'KILL' | 'TERM' | 'STOP' | 'CONT'

/** This host. */
export const here: Place = async (script) => (await promisify(execFile)('/bin/sh', ['-c', script])).stdout

/** A machine, from a function that runs a script inside it, as `exec` of an SshMachine does. */
export function inside(machine: { exec(script: string): Promise<{ readonly stdout: string }> }): Place {
  return async (script) => (await machine.exec(script)).stdout
}

/** The processes at a place whose command line or environment holds `mark` (one line of text), lowest pid first. */
export async function findProcesses(place: Place, mark: string): Promise<readonly Victim[]> {
  const lines = (await place(search(mark))).split('\n').filter((line) => line !== '')
  const victims = lines.map((line) => ({
    pid: Number.parseInt(line),
    command: line.slice(line.indexOf(' ') + 1).trim(),
  }))
  const mine = place === here ? process.pid : 1
  return victims.filter(({ pid }) => pid !== 1 && pid !== mine).sort((a, b) => a.pid - b.pid)
}

/** Signals the victims, all in one stroke; those that have ended meanwhile are passed over. */
export async function killProcesses(
  place: Place,
  victims: readonly Victim[],
  signal: KillSignal = 'KILL',
): Promise<void> {
  if (victims.length === 0) return
  await place(`kill -s ${signal} ${victims.map(({ pid }) => pid).join(' ')} 2>/dev/null || :`)
}

/** Kills one of the processes that hold `mark`, chosen by `random` (0 to below 1), and says which; undefined: there is none. */
export async function killOne(place: Place, mark: string, random: () => number): Promise<Victim | undefined> {
  const found = await findProcesses(place, mark)
  const victim = found[Math.floor(random() * found.length)]
  if (victim !== undefined) await killProcesses(place, [victim])
  return victim
}

/** The mark stands in the script as octal numbers: a search must not find itself, nor the ssh or docker that brought it. */
function search(mark: string): string {
  const octal = [...Buffer.from(mark)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')
  return `mark=$(printf '${octal}')
for at in /proc/[0-9]*; do
  { tr '\\000' ' ' <"$at/cmdline"; echo; tr '\\000' ' ' <"$at/environ"; } 2>/dev/null | grep -qF -e "$mark" || continue
  echo "\${at#/proc/} $(tr '\\000\\n' '  ' <"$at/cmdline" 2>/dev/null)"
done 2>/dev/null
:`
}
