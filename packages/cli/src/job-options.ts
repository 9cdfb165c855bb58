/** The options that describe a job, shared by `run` and `submit`, and what they become: a definition and submit options. */
import { command as commandJob, git, type JobDefinitionInput, type SubmitOptions } from '@muster/sdk'
import { InvalidArgumentError, Option, type Command } from 'commander'

type Pairs = Record<string, string>

/** The options as commander gives them. */
export interface JobFlags {
  /** False under `--no-repo`. */
  readonly repo: string | false
  readonly ref: string
  readonly fetch: 'controller' | 'machine'
  readonly machine?: string
  readonly cwd?: string
  readonly setup?: string
  readonly env: Pairs
  readonly secret: Pairs
  readonly artifact: string[]
  readonly timeout?: string
  readonly retries?: number
  readonly key?: string
  readonly label: Pairs
  readonly queue?: string
  readonly owner?: string
  readonly priority?: number
  readonly cpus?: number
  readonly gpus?: number
  readonly memory?: string
}

/** Adds the options of a job, and its command as the operand. */
export function withJobOptions(command: Command): Command {
  return command
    .argument('<command...>', 'what to run, as words; put -- before it')
    .option('--repo <repo>', 'repository: a path, an https or ssh URL', '.')
    .option('--no-repo', 'run in an empty directory, without a repository')
    .option('--ref <ref>', 'branch, tag or commit', 'HEAD')
    .addOption(
      new Option('--fetch <who>', 'who fetches the commit: we do and send it, or the machine does for itself')
        .choices(['controller', 'machine'])
        .default('controller'),
    )
    .option('--machine <name>', 'only on this machine')
    .option('--cwd <dir>', 'working directory below the checkout')
    .option('--setup <script>', 'sh script that runs before the command')
    .option('--env <name=value>', 'environment variable; repeatable', pair('a variable'), {})
    .option('--secret <name[=variable]>', 'secret, read from our environment at start; repeatable', secret, {})
    .option('--artifact <glob>', 'files to keep, below the working tree; repeatable', append, [])
    .option('--timeout <duration>', "limit from the start of the setup, such as '4h'")
    .option('--retries <n>', 'further attempts after a failure', whole)
    .option('--key <key>', 'the same key and request give the same job')
    .option('--label <name=value>', 'label of the job; repeatable', pair('a label'), {})
    .option('--queue <name>', 'queue of the job')
    .option('--owner <name>', 'owner of the job')
    .option('--priority <0-9>', '9 is the most urgent', whole)
    .option('--cpus <n>', 'CPU slots', amount)
    .option('--gpus <n>', 'GPUs', whole)
    .option('--memory <size>', "memory, such as '8GiB'")
    .passThroughOptions()
}

/** What the worker is asked to do. Throws INVALID_ARGUMENT, REPO_UNSAFE, REF_INVALID. */
export function definitionOf(flags: JobFlags, run: string[]): JobDefinitionInput {
  const { repo, ref, fetch, cwd, setup, env, artifact: artifacts } = flags
  const secrets = Object.fromEntries(Object.entries(flags.secret).map(([name, variable]) => [name, { env: variable }]))
  const program = {
    run,
    env,
    artifacts,
    secrets,
    ...(cwd !== undefined && { cwd }),
    ...(setup !== undefined && { setup }),
  }
  return repo === false ? commandJob(program) : git({ ...program, repo, ref, ...(fetch === 'machine' && { fetch }) })
}

/** How it is to be submitted. */
export function submitOptionsOf(flags: JobFlags): SubmitOptions {
  const { machine, timeout, retries, key, label: labels, queue, owner, priority, cpus, gpus, memory } = flags
  const given = { machine, timeout, retries, key, labels, queue, owner, priority, cpus, gpus, memory }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

/** Reads NAME=VALUE of a repeatable option. */
export function pair(what: string): (text: string, before: Pairs) => Pairs {
  return (text, before) => {
    const at = text.indexOf('=')
    if (at < 1) throw new InvalidArgumentError(`${what} is written NAME=VALUE.`)
    return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
  }
}

function secret(text: string, before: Pairs): Pairs {
  const [name, variable = name] = text.split(/=(.*)/s)
  // The text is not repeated: somebody may have written the value itself.
  if (!name || !variable) throw new InvalidArgumentError('A secret is written NAME or NAME=VARIABLE.')
  return { ...before, [name]: variable }
}

function append(text: string, before: string[]): string[] {
  return [...before, text]
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Expected a whole number.')
  return Number(text)
}

/** Reads a number above 0. */
export function amount(text: string): number {
  if (!/^\d{1,9}(\.\d+)?$/.test(text) || Number(text) === 0)
    throw new InvalidArgumentError('Expected a number above 0.')
  return Number(text)
}
