/** What a machine offers to the supervisor, and whether its state directory can be trusted: asked once, in one script. */
import { MusterError, quote } from '@muster/core'
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
  readonly fileSystem: string
  readonly arch: string
}

const SYSTEM_CALLS: Readonly<Record<string, readonly [setsid: string, prctl: string]>> = {
  x86_64: ['112', '157'],
  aarch64: ['157', '167'],
}
const NETWORK = ['nfs', 'nfs4', 'smb', 'smb2', 'cifs', 'afs', 'ceph', 'lustre', '9p', 'v9fs', 'gpfs', 'fuse.sshfs']

const SCRIPT = sh`
umask 077
m_no() { printf 'unsafe=%s\n' "$1"; exit 0; }
case $m_dir in /*) ;; *) m_no 'it is not an absolute path' ;; esac
case $m_dir/ in *//* | */./* | */../*) m_no 'it is not a plain path' ;; /run/* | /var/run/*) m_no 'logging out empties it' ;; esac
[ ! -L "$m_dir" ] || m_no 'it is a link'
mkdir -p "$m_dir" 2>/dev/null || m_no 'it cannot be created'
set -- $(stat -c '%u %a' "$m_dir")
[ "$1" = "$(id -u)" ] || m_no 'it belongs to somebody else'
case $2 in *00) ;; *) m_no "others may use it: its mode is $2" ;; esac
cd "$m_dir" && mkdir -p attempts bin keep records gpus cache && : >>events || m_no 'it cannot be written'
for m_t in perl flock setsid; do printf '%s=%s\n' $m_t "$(command -v $m_t)"; done
# Asked of the sh that supervisors run with, which may be another than the one at the end of the channel.
for m_t in w x; do
  sh -c "ulimit -S -$m_t 77 && exec grep -q '^Max file locks  *77 ' /proc/self/limits" 2>/dev/null && { printf 'limit=%s\n' $m_t; break; }
done
m_said=$(sh -c '( exec sh -c "kill -KILL \$\$" ); exit 0' 2>&1)
[ -z "$m_said" ] || printf 'tells=1\n'
[ ! -e /proc/$$/task/$$/children ] || printf 'children=1\n'
printf 'arch=%s\nfileSystem=%s\nstateDir=%s\n' "$(uname -m)" "$(stat -f -c %T . 2>/dev/null)" "$m_dir"
[ ! -f "bin/$m_name/ask" ] || printf 'hasSupervisor=1\n'
`

/** The script that answers {@link parseFacts}. Without `stateDir`, the user's own below XDG_STATE_HOME. */
export function factsScript(stateDir: string | undefined, supervisor: string): string {
  const home = '${XDG_STATE_HOME:-$HOME/.local/state}/muster/machine'
  return `m_dir=${stateDir === undefined ? `"${home}"` : quote(stateDir)} m_name=${supervisor}\n${SCRIPT}`
}

/** Reads the answer. Throws STATE_DIR_UNSAFE with the reason, or MACHINE_UNUSABLE where no tool can detach a process. */
export function parseFacts(text: string): { facts: MachineFacts; hasSupervisor: boolean } {
  const lines = text.split('\n').map((line) => /^(\w+)=(.*)$/.exec(line))
  const values = new Map(lines.flatMap((match) => (match ? [[match[1] ?? '', match[2] ?? ''] as const] : [])))
  const value = (name: string): string => values.get(name) ?? ''
  const unsafe = value('unsafe')
  if (unsafe) throw new MusterError('STATE_DIR_UNSAFE', `the machine's state directory is refused: ${unsafe}`)
  if (NETWORK.includes(value('fileSystem'))) {
    const message = `${value('stateDir')} lies on a network file system (${value('fileSystem')})`
    throw new MusterError('STATE_DIR_UNSAFE', message)
  }
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
