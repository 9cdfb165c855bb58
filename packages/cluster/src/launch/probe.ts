/**
 * Probe: how a machine is equipped and what it lacks, in one script of standard tools. GPUs are asked of nvidia-smi by named
 * fields, never by its table for people. Invariant: what a tool does not know is null, never a guess.
 */
import type { Clock } from '@muster/core'
import type { GpuProbe, Probe } from './launcher.js'
import type { MachineShell } from './machine-shell.js'
import type { MachineFacts } from './facts.js'
import { sh } from './supervisor/sh.js'

const SCRIPT = sh`
m_field() { printf '%s=%s\n' "$1" "$2"; }
m_field os "$(uname -s) $(uname -r)"
m_field arch "$(uname -m)"
m_field cpus "$(nproc 2>/dev/null || grep -c '^processor' /proc/cpuinfo)"
while read -r m_x m_c m_f; do [ "$m_x" != MemTotal: ] || m_field memory "$m_c"; done </proc/meminfo
m_field disk "$(df -Pk . | tail -n 1)"
m_field git "$(git --version 2>/dev/null)"
m_field shell "$(readlink -f /bin/sh)"
m_field boot "$m_boot"
m_field clock "$(date +%s.%N)"
m_field user "$(id -un)"
m_field hostname "$(uname -n)"
m_field lingers "$(loginctl show-user "$(id -un)" -p Linger 2>/dev/null)"
while read -r m_x; do case $m_x in KillUserProcesses=*) m_field kills "\${m_x#*=}" ;; esac; done 2>/dev/null </etc/systemd/logind.conf
if command -v nvidia-smi >/dev/null; then
  nvidia-smi --query-gpu=uuid,name,memory.total,memory.used --format=csv,noheader,nounits 2>/dev/null |
    while read -r m_x; do m_field gpu "$m_x"; done
  nvidia-smi --query-compute-apps=gpu_uuid,pid --format=csv,noheader 2>/dev/null |
    while IFS=', ' read -r m_g m_x; do
      read -r m_l 2>/dev/null <"/proc/$m_x/cgroup"
      m_c=
      m_c=$(grep '^Max file locks' "/proc/$m_x/limits" 2>/dev/null)
      set -- $m_c
      m_field app "$m_g $m_x \${4:-unlimited}"
    done
fi
for m_f in */key; do
  m_rec= m_tok= m_mark=
  read -r m_rec m_tok m_mark m_x 2>/dev/null <"$m_f" && m_field mark "$m_mark"
done
exit 0
`

/** See Launcher.probe. */
export async function probeMachine(shell: MachineShell, clock: Clock, signal?: AbortSignal): Promise<Probe> {
  const before = clock.now()
  const { stdout } = await shell.ask(() => SCRIPT, { signal })
  // The machine's clock was read somewhere between; the middle is wrong by half the round trip at most.
  return readProbe(stdout.toString(), await shell.facts(), (before + clock.now()) / 2)
}

/** Reads the script's answer. Pure. */
export function readProbe(text: string, facts: MachineFacts, nowMs: number): Probe {
  const values = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const match = /^([a-z]+)=(.*)$/.exec(line)
    if (match) values.set(match[1] ?? '', [...(values.get(match[1] ?? '') ?? []), match[2] ?? ''])
  }
  const first = (name: string): string => values.get(name)?.[0] ?? ''
  const clock = Number(first('clock').replace(/[^0-9.]/g, ''))
  const base = {
    os: first('os'),
    arch: first('arch'),
    cpus: Math.max(1, Number(first('cpus')) || 1),
    memoryBytes: Number(first('memory')) * 1024 || 0,
    disk: { path: facts.stateDir, freeBytes: Number(first('disk').split(/\s+/)[3] ?? 0) * 1024 || 0 },
    gpus: readGpus(values.get('gpu') ?? [], values.get('app') ?? [], new Set(values.get('mark') ?? [])),
    gitVersion: /(\d+\.\d+(?:\.\d+)*)/.exec(first('git'))?.[1] ?? null,
    shell: first('shell'),
    bootId: first('boot'),
    clockSkewMs: clock > 0 ? Math.round(clock * 1000 - nowMs) : 0,
    tree: treeOf(facts),
    stateDir: facts.stateDir,
    user: first('user'),
    hostname: first('hostname'),
  }
  const killsAtLogout = first('kills') === 'yes' && first('lingers') !== 'Linger=yes'
  return { ...base, problems: problemsOf(base, facts, killsAtLogout) }
}

function readGpus(rows: readonly string[], apps: readonly string[], ours: ReadonlySet<string>): GpuProbe[] {
  const strangers = apps.map((app) => app.split(' ')).filter(([, , mark = '']) => !ours.has(mark))
  return rows.flatMap((row) => {
    const [uuid = '', model = '', total = '', used = ''] = row.split(/,\s*/)
    if (!/^[A-Za-z0-9][A-Za-z0-9-]*$/.test(uuid)) return []
    const pids = strangers.filter(([gpu]) => gpu === uuid).map(([, pid]) => Number(pid))
    return [{ uuid, model, memoryBytes: mebibytes(total), usedBytes: mebibytes(used), strangers: pids }]
  })
}

function mebibytes(text: string): number | null {
  return /^\d+$/.test(text.trim()) ? Number(text) * 2 ** 20 : null
}

function treeOf(facts: MachineFacts): string {
  return facts.perl && facts.children ? 'subreaper' : facts.limit ? 'marker' : 'best-effort'
}

function problemsOf(
  { gitVersion, stateDir, user }: { gitVersion: string | null; stateDir: string; user: string },
  facts: MachineFacts,
  killsAtLogout: boolean,
): Probe['problems'] {
  const problems: { text: string; mend: string; fatal: boolean }[] = []
  const [major = 0, minor = 0] = (gitVersion ?? '0.0').split('.').map(Number)
  if (gitVersion === null) problems.push({ text: 'git is not installed', mend: 'apt-get install git', fatal: false })
  else if (major < 2 || (major === 2 && minor < 31)) {
    problems.push({ text: `git ${gitVersion} is too old`, mend: 'install git 2.31 or newer', fatal: false })
  }
  if (killsAtLogout) {
    const text = 'logging out kills what is left running (KillUserProcesses)'
    problems.push({ text, mend: `loginctl enable-linger ${user}`, fatal: true })
  }
  if (!facts.perl && !facts.limit) {
    const text = 'processes that leave the session can be found only by their environment'
    problems.push({ text, mend: 'apt-get install perl', fatal: false })
  }
  if (!facts.flock && !facts.perl) {
    const text = 'there is neither flock nor perl: attempts seen from another container may look dead'
    problems.push({ text, mend: 'apt-get install util-linux', fatal: false })
  }
  if (/^\/(tmp|var\/tmp)\//.test(stateDir) || facts.fileSystem === 'tmpfs') {
    const text = `${stateDir} may be emptied by a cleaner or a reboot`
    problems.push({ text, mend: 'set stateDir to a directory below your home', fatal: false })
  }
  return problems
}
