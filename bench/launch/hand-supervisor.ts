/**
 * The peer of a job's run: what a supervisor has to do, written by hand in sh, with each step once and nothing recorded. A claim
 * that only one can win (mkdir), a lock that dies with its holder (flock), a session of its own (setsid), the log in a file, the
 * exit code synced under a temporary name and renamed.
 */
import { spawn, type StdioOptions } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The steps: the first word is the directory of the attempt, which must not exist, the others are the command. */
export const SUPERVISOR = `
umask 077
d=$1; shift
mkdir "$d" || exit 75
exec 9>"$d/lock"
flock -n 9 || exit 76
setsid "$@" >"$d/log" 2>&1 </dev/null 9>&- &
wait $!
echo $? >"$d/exit.new"
sync "$d/exit.new"
mv "$d/exit.new" "$d/exit"
`

/** Runs a command under the supervisor, in a new directory below `directory`, to its recorded end. */
export function handSupervisor(directory: string): (command: readonly string[]) => Promise<void> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const script = join(directory, 'supervise.sh')
  writeFileSync(script, SUPERVISOR, { mode: 0o600 })
  let runs = 0
  return async (command) => {
    const attempt = join(directory, `attempt-${runs++}`)
    await ends('sh', [script, attempt, ...command], 'ignore')
    if (readFileSync(join(attempt, 'exit'), 'utf8') !== '0\n') throw new Error(`${attempt} did not end well`)
  }
}

/** Runs a command with nothing around it. */
export async function bareSpawn(command: readonly string[]): Promise<void> {
  const [file = '', ...args] = command
  await ends(file, args, 'ignore')
}

/** Spawns and waits for a good end. */
export async function ends(file: string, args: readonly string[], stdio: StdioOptions = 'inherit'): Promise<void> {
  const [code] = (await once(spawn(file, args, { stdio }), 'exit')) as [number | null]
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}`)
}
