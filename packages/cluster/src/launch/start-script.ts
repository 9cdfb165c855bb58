/**
 * The script that starts attempts: who makes the directory and detaches the supervisor. Where there is perl, one of them does it for
 * all, forking for each, since starting it is what is dear; else the shell does it one after the other. Invariant: keys, plans
 * and secrets travel on standard input, never as arguments, which everybody on the machine can read.
 */
import { quote, systemIds } from '@muster/core'
import type { MachineFacts } from './facts.js'
import type { StartRequest } from './launcher.js'
import { toolLines } from './machine-shell.js'
import { markOf, word } from './names.js'
import { SUPERVISOR_HASH } from './supervisor/index.js'

/** One attempt to be started, with its plan as the supervisor reads it. */
export interface Starting {
  readonly name: string
  readonly request: StartRequest
  readonly plan: string
}

/** The script. It prints lines that begin with the name of an attempt: a verdict as m_say gives it, then perhaps a complaint. */
export function startScript(
  starts: readonly Starting[],
  facts: MachineFacts,
  { nowMs, oomEventsPath }: { readonly nowMs: number; readonly oomEventsPath: string },
): string {
  const common = `${toolLines(facts)}m_at0=${Math.round(nowMs)}\n`
  const keys = starts.map(({ name, request }) => `${name} ${request.key.token}`).join(' ')
  return (
    `m_oomfile=${quote(oomEventsPath)}\nm_oom_count\n` +
    // The supervisors hold this pipe until they have claimed, and say so, or lost.
    `m_x=$(${facts.perl ? byPerl(starts, facts, common) : byShell(starts, facts, common)})\n` +
    `m_told "$m_x" ${keys}\n`
  )
}

/** What a supervisor is told beside its name and its rung: what would cost it a hundred small reads. */
const TOLD = '"$m_boot" "$m_oom" "$m_oomfile"'
const RUN = `../bin/${SUPERVISOR_HASH}/run`

/**
 * perl, for each attempt in a process of its own: the directory with its key, whoever came first, then a look at the epoch (in this
 * order, so that whoever raises it finds the attempt), then a session, the lock on descriptor 3 and, where it can be had, a
 * subreaper; it becomes the supervisor, whose standard input is the plan.
 */
const BEGIN = [
  `$^F=9;$|=1;$SIG{PIPE}=sub{};($s,$p,$k,$t,$run)=splice@ARGV,0,5;`,
  `sub bad{print"$n failed @_\\n";exit}`,
  `read STDIN,$all,<STDIN>+0;`,
  `while(<STDIN>){($n,$tok,$rec,$mark,$epoch,$job,$len)=split;read STDIN,$plan,$len;`,
  `pipe R,W or bad("pipe: $!");$c=fork;defined$c or bad("fork: $!");begin()if!$c;`,
  `close R;print W$all,$plan;close W}`,
  // What a start made that came too late: whoever raised the epoch may have looked before, and would never remove it.
  // The key goes last: where a stop has come between, what it wrote can still be told whose it is.
  `sub undo{$made[0]eq$n&&rmdir"$n/artifacts"and rmdir"$n/work"and!-e"$n/claim"and unlink"$n/key"and rmdir$n or return;`,
  `opendir D,".";rmdir"../keep/$job"if!grep{!index$_,"$job."}readdir D}`,
  `sub begin{open STDIN,"<&R";close R;close W;`,
  `if(-l$n){print"$n foreign - 0 -\\n";exit}`,
  `for($n,"$n/work","$n/artifacts","../keep/$job"){if(mkdir$_){push@made,$_}else{$e="$!";-d$_||bad("$_: $e")}}`,
  `if(open K,"<","$n/key"){$is=<K>;close K}`,
  `if($is!~/ end$/){open(K,">","$n/key")&&(print K"$rec $tok $mark end\\n")&&close K||bad("$n/key: $!")}`,
  `elsif((split/ /,$is)[1]ne$tok){print"$n foreign - 0 -\\n";exit}`,
  `if(opendir D,"../records/$rec"){for(readdir D){/^\\d+$/&&$_>$epoch&&do{print"$n superseded $_\\n";undo();exit}}closedir D}`,
  `exit if-e"$n/claim";open STDERR,">>","$n/err";`,
  `syscall($s+0);syscall($p+0,36,1,0,0,0)==0&&$k&&($t="subreaper");`,
  `open F,"<","/proc/$$/stat";($b)=<F>=~/.*\\) (.*)/;close F;`,
  `open(L,">>","$n/lock")&&fileno(L)==3&&flock(L,6)||exit 4;exec"sh",$run,"run",$n,$t,@ARGV,(split/ /,$b)[19]}`,
].join('')

function byPerl(starts: readonly Starting[], facts: MachineFacts, common: string): string {
  const words = [facts.perl, '-e', BEGIN, facts.setsidCall, facts.prctlCall, facts.children || '0', plain(facts), RUN]
  const parts = starts.map((start) => `${[...keyWords(start), Buffer.byteLength(start.plan)].join(' ')}\n${start.plan}`)
  return `${words.map(quote).join(' ')} ${TOLD} 3>&- ${here(`${Buffer.byteLength(common)}\n${common}${parts.join('')}`)}`
}

function byShell(starts: readonly Starting[], facts: MachineFacts, common: string): string {
  const spawn = ({ name }: Starting): string => {
    const locked = facts.flock ? `exec 3>>${name}/lock; ${quote(facts.flock)} -n 3 || exit 4; ` : ''
    const become = `${locked}exec sh ${RUN} run ${name} ${plain(facts)} "$@"`
    return `${quote(facts.setsid)} sh -c ${quote(become)} sh ${TOLD} '' 2>>${name}/err 3>&-`
  }
  return starts
    .map(
      (start) =>
        `if m_open ${keyWords(start).join(' ')}; then ${spawn(start)} ${here(`${common}${start.plan}`, ' &')}fi\n`,
    )
    .join('')
}

/** NAME TOKEN RECORD MARK EPOCH JOB, each a plain word. */
function keyWords({ name, request: { key, recordId, epoch } }: Starting): string[] {
  return [name, key.token, word(recordId, 'recordId'), markOf(key.token), String(epoch), key.jobId]
}

/** Text on a command's standard input. */
function here(text: string, then = ''): string {
  const end = `M_${systemIds.token()}`
  return `<<'${end}'${then}\n${text}${end}\n`
}

function plain(facts: MachineFacts): string {
  return facts.limit ? 'marker' : 'best-effort'
}
