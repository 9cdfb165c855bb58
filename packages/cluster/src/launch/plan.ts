/**
 * The plan as the supervisor reads it: sh assignments and functions on its standard input. Every value is quoted by the one
 * quoting function; names are checked, since a name cannot be quoted. Environment and secrets are exported only in the
 * process that becomes the command.
 */
import { MusterError, quote, type Command } from '@muster/core'
import type { StartRequest } from './launcher.js'
import { markOf, word } from './names.js'

/** What the launcher adds to every plan. */
export interface PlanSettings {
  /** What a login on the machine gives (PATH, HOME, USER, LANG ...). The job's own environment goes on top. */
  readonly environment: Readonly<Record<string, string>>
}

const LOG_BYTES = 2 ** 30
/** Names that some shell keeps for itself and refuses to set. */
const SHELLS_OWN = /^(PPID|UID|EUID|OPTIND|LINENO|SHELLOPTS|BASHOPTS|BASH_VERSINFO)$/

/** The plan's text. Throws INVALID_ARGUMENT for what no shell can pass on. */
export function planText(request: StartRequest, settings: PlanSettings): string {
  const { key, recordId, plan, gpus, timeoutMs, graceMs, logBytes = LOG_BYTES } = request
  const steps = [...(plan.workspace === undefined ? [] : ['workspace']), ...(plan.setup ? ['setup'] : []), 'command']
  const variables = {
    m_record: word(recordId, 'recordId'),
    m_mark: markOf(key.token),
    m_cap: Math.max(logBytes, 200),
    m_timeout: timeoutMs === undefined ? '' : (timeoutMs / 1000).toFixed(3),
    m_grace: Math.ceil(graceMs / 10),
    m_watch: '',
    m_gpulist: gpus.map((gpu) => word(gpu, 'gpus')).join(' '),
    m_steps: steps.join(' '),
    m_cwd: relative(plan.cwd ?? '.'),
    m_workspace: plan.workspace ?? '',
    m_globs: globLines(plan.artifacts),
  }
  return [
    ...Object.entries(variables).map(([name, value]) => `${name}=${quote(String(value))}`),
    environmentFunction(request, settings),
    ...(plan.setup ? [stepFunction('setup', plan.setup)] : []),
    stepFunction('command', plan.command),
    '',
  ].join('\n')
}

function stepFunction(step: string, command: Command): string {
  const words = 'script' in command ? ['/bin/sh', '-c', command.script, 'sh'] : command.argv
  const [program = ''] = words
  if (program === '' || program.startsWith('-')) {
    throw new MusterError('INVALID_ARGUMENT', `${step}: ${JSON.stringify(program)} cannot be the name of a program`)
  }
  return `m_exec_${step}() { m_enter; m_env; m_exec ${words.map(quote).join(' ')}; }`
}

function environmentFunction({ key, plan, secrets, gpus }: StartRequest, settings: PlanSettings): string {
  const given = { ...settings.environment, ...plan.env, ...secrets }
  const ours = {
    MUSTER_JOB_ID: key.jobId,
    MUSTER_ATTEMPT: String(key.attempt),
    MUSTER_MARK: markOf(key.token),
    CUDA_VISIBLE_DEVICES: gpus.join(','),
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
  }
  const lines = Object.entries({ ...given, ...ours }).map(([name, value]) => `export ${variable(name)}=${quote(value)}`)
  const below = { MUSTER_RESULT: 'result', MUSTER_PROGRESS: 'progress', MUSTER_ARTIFACTS: 'artifacts' }
  const paths = Object.entries(below).map(([name, file]) => `export ${name}="$m_root/${file}"`)
  const keep = `export MUSTER_KEEP="\${m_root%/*/*}/keep/${key.jobId}"; [ -d "$MUSTER_KEEP" ] || mkdir -p "$MUSTER_KEEP"`
  return `m_env() {\n${[...lines, ...paths, keep].join('\n')}\n}`
}

function variable(name: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !SHELLS_OWN.test(name) && !name.startsWith('m_')) return name
  throw new MusterError(
    'INVALID_ARGUMENT',
    `env: ${JSON.stringify(name.slice(0, 80))} cannot be the name of a variable`,
  )
}

function globLines(globs: readonly string[]): string {
  if (globs.some((glob) => glob.includes('\n')))
    throw new MusterError('INVALID_ARGUMENT', 'artifacts: a glob cannot hold a newline')
  return globs.map((glob) => `${glob}\n`).join('')
}

function relative(path: string): string {
  const parts = path.split('/')
  if (path.startsWith('/') || parts.includes('..') || path.includes('\n')) {
    throw new MusterError('INVALID_ARGUMENT', `cwd: ${JSON.stringify(path)} leads out of the work directory`)
  }
  return path === '' ? '.' : `./${path}`
}
