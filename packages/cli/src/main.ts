/**
 * The `muster` command. Everything it does it does through the SDK; here are only words, tables and exit codes.
 *
 * Invariant: the exit code is 0, 1 (muster refused or failed) or 2 (wrong usage), but for `run`, which passes the job's code
 * on and keeps 125 for muster's own failures. No error shows a stack unless MUSTER_DEBUG=1.
 */
import { Command, CommanderError } from 'commander'
import { createRequire } from 'node:module'
import { addCancel } from './commands/cancel.js'
import type { AddCommand, Surroundings } from './commands/command.js'
import { addExplain } from './commands/explain.js'
import { addLogs } from './commands/logs.js'
import { addMachines } from './commands/machines/index.js'
import { addPs } from './commands/ps.js'
import { addQueue } from './commands/queue/index.js'
import { addRestart } from './commands/restart.js'
import { addRun } from './commands/run.js'
import { addShow } from './commands/show.js'
import { addSubmit } from './commands/submit.js'
import { addUp } from './commands/up.js'
import { report } from './errors.js'
import { Io } from './io.js'

const COMMANDS: readonly AddCommand[] = [
  addRun,
  addSubmit,
  addPs,
  addShow,
  addLogs,
  addCancel,
  addRestart,
  addExplain,
  addMachines,
  addQueue,
  addUp,
]

/** Runs the command line and sets the process's exit code. Never rejects. */
export async function main(argv: readonly string[]): Promise<void> {
  const io = new Io(process.stdout, process.stderr, process.env)
  // Until the end is reached nothing has succeeded, also if the process should run out of things to wait for.
  process.exitCode = argv[0] === 'run' ? 125 : 1
  let code = 0
  const surroundings: Surroundings = {
    io,
    exit: (wanted) => {
      code = wanted
    },
    report: (error, json) => {
      report(io, error, json)
    },
  }
  try {
    await programOf(surroundings).parseAsync([...argv], { from: 'user' })
  } catch (error) {
    code = failure(io, argv, error)
  }
  process.exitCode = code
}

function programOf(surroundings: Surroundings): Command {
  const { io } = surroundings
  const program = new Command('muster')
    .description('Run commits and commands on machines you already have.')
    .version(version())
    .enablePositionalOptions()
    .showHelpAfterError('(see muster --help)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out.write(text),
      writeErr: (text) => io.err.write(text),
    })
  for (const add of COMMANDS) add(program, surroundings)
  return program
}

/** The exit code for an error; what commander has not said itself is printed. */
function failure(io: Io, argv: readonly string[], error: unknown): number {
  const ours = argv[0] === 'run' ? 125 : undefined
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : (ours ?? 2)
  report(io, error, beforeCommand(argv).includes('--json'))
  return ours ?? 1
}

/** The words that are options of muster, not of the job's command. */
function beforeCommand(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--')
  return end < 0 ? argv : argv.slice(0, end)
}

function version(): string {
  const manifest: unknown = createRequire(import.meta.url)('../package.json')
  const found =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : undefined
  return typeof found === 'string' ? found : 'unknown'
}
