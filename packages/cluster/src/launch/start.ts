/**
 * Start: one round trip that makes the attempt's directory, writes its key, looks at the epoch, and lets a detached supervisor
 * claim it. Killed anywhere, a second start either launches or finds what is there: only the claim counts.
 */
import { MusterError, quote, systemIds, type Clock } from '@muster/core'
import type { MachineFacts } from './facts.js'
import type { StartOutcome, StartRequest } from './launcher.js'
import { toolLines, type MachineShell } from './machine-shell.js'
import { attemptName, markOf, word } from './names.js'
import { planText, type PlanSettings } from './plan.js'
import { SUPERVISOR_HASH } from './supervisor/index.js'

/** Attempts to get a word out of a machine where another contender holds the lock without having claimed yet. */
const PATIENCE = 40

/** See Launcher.start. */
export async function startAttempt(
  shell: MachineShell,
  request: StartRequest,
  settings: PlanSettings & { readonly clock: Clock },
): Promise<StartOutcome> {
  const name = attemptName(request.key)
  for (let tries = 1; ; tries += 1) {
    const { stdout, stderr } = await shell.ask((facts) => startScript(name, request, settings, facts))
    const [line = '', ...said] = stdout.toString().trim().split('\n')
    said.push(stderr.toString().trim().slice(-300))
    const outcome = judge(line, name)
    if (outcome) return outcome
    if (tries === PATIENCE) {
      const message = `${name}: the supervisor did not start${said.join(' ') ? `: ${said.join(' ')}` : ''}`
      throw new MusterError('LAUNCH_FAILED', message)
    }
    await settings.clock.sleep(25)
  }
}

function startScript(
  name: string,
  request: StartRequest,
  settings: PlanSettings & { readonly clock: Clock },
  facts: MachineFacts,
): string {
  const { key, recordId, epoch, plan } = request
  const end = `M_${systemIds.token()}`
  const arguments_ = [
    name,
    key.token,
    word(recordId, 'recordId'),
    markOf(key.token),
    String(epoch),
    key.jobId,
    globLines(plan.artifacts),
  ]
  return (
    `m_open ${arguments_.map(quote).join(' ')} || exit 0\n` +
    // The supervisor holds this pipe until it has claimed, or lost.
    `m_x=$(${spawnLine(name, facts)} 3>&- 2>>${name}/err <<'${end}' &\n` +
    `${toolLines(facts)}${planText(request, settings, settings.clock.now())}${end}\n)\n` +
    `m_look ${name} ${key.token}\nm_say\n[ "$m_st" != open ] || { m_x=; read -r m_x <${name}/err; printf '%s\\n' "$m_x"; }\n`
  )
}

/** Detaches, takes the lock on descriptor 3 and, where perl can, makes the supervisor a subreaper: one process for all three. */
function spawnLine(name: string, facts: MachineFacts): string {
  const supervisor = `sh ../bin/${SUPERVISOR_HASH}/run run ${name}`
  const plain = facts.limit ? 'marker' : 'best-effort'
  if (facts.perl) {
    const program =
      `$^F=9;($s,$p,$k,$l)=splice@ARGV,0,4;syscall($s+0);syscall($p+0,36,1,0,0,0)==0&&$k&&($t="subreaper");` +
      `open(L,">>",$l)&&fileno(L)==3&&flock(L,6)||exit 4;exec@ARGV,$t||${JSON.stringify(plain)}`
    const words = [facts.perl, '-e', program, facts.setsidCall, facts.prctlCall, facts.children || '0', `${name}/lock`]
    return `${words.map(quote).join(' ')} ${supervisor}`
  }
  const locked = facts.flock ? `exec 3>>${name}/lock; ${quote(facts.flock)} -n 3 || exit 4; ` : ''
  return `${quote(facts.setsid)} sh -c ${quote(`${locked}exec ${supervisor} ${plain}`)}`
}

/** Reads what m_say printed; undefined where nobody has claimed it yet. */
function judge(line: string, name: string): StartOutcome | undefined {
  const [verdict = '', why = '', at = '0', tree = '-'] = line.split(' ')
  const taken = /^gpu-taken:(.+)$/.exec(why)
  switch (verdict) {
    case 'running':
    case 'exited':
    case 'gone':
      return { started: true, startedAt: Number(at) || null, tree }
    case 'stopped':
      return taken
        ? { started: false, reason: 'gpu-taken', gpus: (taken[1] ?? '').split(',') }
        : { started: false, reason: 'stopped' }
    case 'superseded':
      throw new MusterError('SCHEDULER_SUPERSEDED', `${name}: the machine knows a newer leader (epoch ${why})`)
    case 'foreign':
      throw new MusterError('LAUNCH_FAILED', `${name} exists on the machine under another token`, { retryable: false })
    default:
      return undefined
  }
}

function globLines(globs: readonly string[]): string {
  if (globs.some((glob) => glob.includes('\n')))
    throw new MusterError('INVALID_ARGUMENT', 'artifacts: a glob cannot hold a newline')
  return globs.map((glob) => `${glob}\n`).join('')
}
