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
  const { key, recordId, epoch } = request
  const end = `M_${systemIds.token()}`
  const words = [name, key.token, word(recordId, 'recordId'), markOf(key.token), String(epoch), key.jobId]
  return (
    `m_open ${words.join(' ')} ${facts.perl ? 'perl' : 'sh'} || exit 0\n` +
    // The supervisor holds this pipe until it has claimed, and says so, or lost.
    `m_x=$(${spawnLine(name, words, facts)} 3>&- <<'${end}' &\n` +
    `${toolLines(facts)}${planText(request, settings, settings.clock.now())}${end}\n)\n` +
    `[ -z "$m_x" ] || { printf '%s\\n' "$m_x"; exit 0; }\n` +
    `m_look ${name} ${key.token}\nm_say\n[ "$m_st" != open ] || { m_x=; read -r m_x <${name}/err; printf '%s\\n' "$m_x"; }\n`
  )
}

/**
 * perl: the directory with its key, whoever came first, then a look at the epoch (in this order, so that whoever raises it finds
 * the attempt), then a session, the lock on descriptor 3 and, where it can be had, a subreaper. One process does what sh would need
 * three more for.
 */
const BEGIN = [
  `$^F=9;($n,$rec,$mark,$epoch,$job,$s,$p,$k,$t)=splice@ARGV,0,9;$tok=delete$ENV{m_tok};`,
  `mkdir$_ for$n,"$n/work","$n/artifacts","../keep/$job";`,
  `-d$_||die"$_: $!\\n"for"$n/work","$n/artifacts","../keep/$job";`,
  `$key="$rec $tok $mark end\\n";`,
  `if(open K,"<","$n/key"){$is=<K>;close K}`,
  `if($is!~/ end$/){open(K,">","$n/key")&&(print K$key)&&close K||die"$n/key: $!\\n"}`,
  `elsif((split/ /,$is)[1]ne$tok){print"foreign - 0 -\\n";exit}`,
  `if(opendir D,"../records/$rec"){for(readdir D){/^\\d+$/&&$_>$epoch&&do{print"superseded $_\\n";exit}}closedir D}`,
  `open STDERR,">>","$n/err";`,
  `syscall($s+0);syscall($p+0,36,1,0,0,0)==0&&$k&&($t="subreaper");`,
  `open(L,">>","$n/lock")&&fileno(L)==3&&flock(L,6)||exit 4;exec@ARGV,$t`,
].join('')

/** Detaches and takes the lock on descriptor 3, in one process for both. */
function spawnLine(name: string, key: readonly string[], facts: MachineFacts): string {
  const supervisor = `sh ../bin/${SUPERVISOR_HASH}/run run ${name}`
  const plain = facts.limit ? 'marker' : 'best-effort'
  if (facts.perl) {
    const [, token, ...rest] = key
    const words = [
      facts.perl,
      '-e',
      BEGIN,
      name,
      ...rest,
      facts.setsidCall,
      facts.prctlCall,
      facts.children || '0',
      plain,
    ]
    // The token is nobody else's business: everybody can read arguments.
    return `m_tok=${token} ${words.map(quote).join(' ')} ${supervisor}`
  }
  const locked = facts.flock ? `exec 3>>${name}/lock; ${quote(facts.flock)} -n 3 || exit 4; ` : ''
  return `${quote(facts.setsid)} sh -c ${quote(`${locked}exec ${supervisor} ${plain}`)} 2>>${name}/err`
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
