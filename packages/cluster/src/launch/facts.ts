/** What a machine offers to the supervisor, and whether its state directory can be trusted: asked once, in one script. */
import { MusterError, quote } from '@muster/core'
import { notLocal } from './file-systems.js'
import { sh } from './supervisor/sh.js'

/** Tools are absolute paths, empty where the machine has none. */
export interface MachineFacts {
  readonly stateDir: string
  readonly perl: string
  readonly flock: string
  readonly setsid: string
  /** Numbers of the system calls setsid and prctl there; empty where we do not know them. */
  readonly setsidCall: string
  readonly prctlCall: string
  /** The letter by which its shell sets the marker limit; empty where it cannot. */
  readonly limit: string
  /** `1` where its shell tells an exit from a death by signal. */
  readonly tells: string
  /** Whether the kernel lists the children of a process. */
  readonly children: string
  /** The type of the file system that holds it, as the kernel's list of mounts says it (`ext4`, `fuse.sshfs`). */
  readonly fileSystem: string
  readonly arch: string
}

const SYSTEM_CALLS: Readonly<Record<string, readonly [setsid: string, prctl: string]>> = {
  x86_64: ['112', '157'],
  aarch64: ['157', '167'],
}
const SCRIPT = sh`
umask 077
m_mount() {
  m_best= m_type= m_opts=
  while read -r m_x m_point m_y m_o m_x; do
    case $m_point in *\\0*) m_point=$(printf '%b' "$m_point") ;; esac
    case $1/ in
    "\${m_point%/}"/*) [ "\${#m_point}" -lt "\${#m_best}" ] || { m_best=$m_point m_type=$m_y m_opts=$m_o; } ;;
    esac
  done 2>/dev/null </proc/self/mounts
}
m_no() {
  printf 'unsafe=%s\n' "$1"
  m_me=$(id -un 2>/dev/null || id -u)
  for m_t in "$HOME" "/scratch/$m_me" "/local/$m_me" "/data/$m_me" /scratch /localscratch /local /data /srv /var/tmp; do
    [ -d "$m_t" ] && [ -w "$m_t" ] && [ -x "$m_t" ] || continue
    m_mount "$m_t"
    m_is="$m_t/muster-$m_me"
    [ "$m_is" = "$m_dir" ] || printf 'elsewhere=%s %s\n' "$m_type" "$m_is"
  done
  exit 0
}
m_full() { printf 'full=%s\n' "$m_dir"; exit 0; }
m_stuck() {
  case $m_said in *'o space left'* | *'uota exceeded'*) m_full ;; esac
  m_p=$m_dir
  until [ -e "$m_p" ]; do m_p=\${m_p%/*}; m_p=\${m_p:-/}; done
  m_mount "$m_p"
  case ,$m_opts, in *,ro,*) m_no "$m_best is mounted read-only" ;; esac
  [ -d "$m_p" ] || m_no "$m_p is not a directory"
  [ -w "$m_p" ] || m_no "you cannot write to $m_p"
  m_no "$1"
}
case $m_dir in /*) ;; *) m_no 'it is not an absolute path' ;; esac
case $m_dir/ in *//* | */./* | */../*) m_no 'it is not a plain path' ;; /run/* | /var/run/*) m_no 'logging out empties it' ;; esac
[ ! -L "$m_dir" ] || m_no 'it is a link'
m_said=$(mkdir -p "$m_dir" 2>&1) || m_stuck 'it cannot be created'
read -r m_mode m_x m_uid m_x <<LS
$(ls -ldn "$m_dir")
LS
[ "$m_uid" = "$(id -u)" ] || m_no 'it belongs to somebody else'
case $m_mode in d???--[-S]--[-T]*) ;; *) m_no "others may use it: its mode is $m_mode" ;; esac
cd "$m_dir" || m_no 'it cannot be entered'
m_said=$(mkdir -p attempts bin keep records gpus cache 2>&1 && : 2>&1 >>events) || m_stuck 'it cannot be written'
{ printf '%4096s' . >.room; } 2>/dev/null && rm -f .room || m_full
for m_t in perl flock setsid; do printf '%s=%s\n' $m_t "$(command -v $m_t)"; done
# Asked of the sh that supervisors run with, which may be another than the one at the end of the channel.
for m_t in w x; do
  sh -c "ulimit -S -$m_t 77 && exec grep -q '^Max file locks  *77 ' /proc/self/limits" 2>/dev/null && { printf 'limit=%s\n' $m_t; break; }
done
m_said=$(sh -c '( exec sh -c "kill -KILL \$\$" ); exit 0' 2>&1)
[ -z "$m_said" ] || printf 'tells=1\n'
[ ! -e /proc/$$/task/$$/children ] || printf 'children=1\n'
m_mount "$(pwd -P)"
[ -n "$m_type" ] || m_type=$(stat -f -c %T . 2>/dev/null)
printf 'arch=%s\nfileSystem=%s\nstateDir=%s\n' "$(uname -m)" "$m_type" "$m_dir"
[ ! -f "bin/$m_name/ask" ] || printf 'hasSupervisor=1\n'
`

/** The script that answers {@link parseFacts}. Without `stateDir`, the user's own below XDG_STATE_HOME. */
export function factsScript(stateDir: string | undefined, supervisor: string): string {
  const home = '${XDG_STATE_HOME:-$HOME/.local/state}/muster/machine'
  return `m_dir=${stateDir === undefined ? `"${home}"` : quote(stateDir)} m_name=${supervisor}\n${SCRIPT}`
}

/**
 * Reads the answer. Throws STATE_DIR_UNSAFE with the reason and a place that would do, MACHINE_UNUSABLE where the disk is full or
 * no tool can detach a process.
 */
export function parseFacts(text: string): { facts: MachineFacts; hasSupervisor: boolean } {
  const lines = text.split('\n').map((line) => /^(\w+)=(.*)$/.exec(line))
  const values = new Map(lines.flatMap((match) => (match ? [[match[1] ?? '', match[2] ?? ''] as const] : [])))
  const value = (name: string): string => values.get(name) ?? ''
  const refused = value('unsafe')
  if (refused) throw unsafe(`the machine's state directory is refused: ${refused}`, elsewhere(lines))
  if (value('full'))
    throw new MusterError('MACHINE_UNUSABLE', `there is no room for the state directory ${value('full')}`, {
      hint: `Make room on the machine; see what fills it with: df -h ${quote(value('full'))}`,
    })
  const remote = notLocal(value('fileSystem'))
  if (remote) throw unsafe(`${value('stateDir')} lies on ${remote}`, elsewhere(lines))
  const [setsidCall = '', prctlCall = ''] = SYSTEM_CALLS[value('arch')] ?? []
  const perl = setsidCall ? value('perl') : ''
  if (!perl && !value('setsid')) {
    const hint = 'Install util-linux (or busybox), for example: apt-get install util-linux'
    throw new MusterError('MACHINE_UNUSABLE', 'the machine has neither setsid nor perl', { hint })
  }
  const facts: MachineFacts = {
    stateDir: value('stateDir'),
    perl,
    flock: value('flock'),
    setsid: value('setsid'),
    setsidCall,
    prctlCall,
    limit: value('limit'),
    tells: value('tells'),
    children: value('children'),
    fileSystem: value('fileSystem'),
    arch: value('arch'),
  }
  return { facts, hasSupervisor: value('hasSupervisor') === '1' }
}

function unsafe(message: string, place: string): MusterError {
  const hint = `Set a directory of yours on a local disk for this machine, in its entry of the configuration: stateDir: ${place}`
  return new MusterError('STATE_DIR_UNSAFE', message, { hint })
}

/** Of the places that the machine named, the first on a local disk; a made-up one where there is none. */
function elsewhere(lines: readonly (RegExpExecArray | null)[]): string {
  const places = lines.flatMap((match) => (match?.[1] === 'elsewhere' ? [/^(\S*) (.*)$/.exec(match[2] ?? '')] : []))
  return places.find((place) => place && !notLocal(place[1] ?? ''))?.[2] ?? '/scratch/YOU/muster'
}
