/** What a machine lacks, each with a line that mends it. Fatal is what would lose work or a record of it. Pure. */
import { quote } from '@muster/core'
import type { MachineFacts } from './facts.js'
import { isMemory } from './file-systems.js'
import type { Probe } from './launcher.js'

type Problem = Probe['problems'][number]

/** Beyond this a time that a machine told means nothing to a person who compares it with ours, milliseconds. */
const SKEW_MS = 5_000
const LITTLE_BYTES = 2 ** 30
/** Less than an attempt's own files and its exit record need. */
const FULL_BYTES = 2 ** 20

/** What the judgement needs beside the probe itself. */
export interface Findings {
  readonly facts: MachineFacts
  /** Free inodes of the state directory's file system; null where it does not count them. */
  readonly freeInodes: number | null
  readonly logout: { readonly text: string; readonly mend: string } | null
  /** What removes old files where the state directory lies. */
  readonly cleaners: readonly { readonly program: string; readonly path: string; readonly age: string }[]
}

/** All problems, the fatal ones first. */
export function problemsOf(probe: Omit<Probe, 'problems'>, findings: Findings): readonly Problem[] {
  const problems = [
    ...disk(probe, findings),
    ...logout(findings),
    ...git(probe),
    ...tools(findings.facts),
    ...clock(probe),
  ]
  return [...problems.filter(({ fatal }) => fatal), ...problems.filter(({ fatal }) => !fatal)]
}

function disk({ disk: { freeBytes }, stateDir, user }: Omit<Probe, 'problems'>, findings: Findings): Problem[] {
  const { facts, freeInodes, cleaners } = findings
  const mend = `df -h ${quote(stateDir)} && df -i ${quote(stateDir)}`
  const elsewhere = `stateDir: /scratch/${user}/muster`
  const problems: Problem[] = []
  if (freeBytes !== null && freeBytes < FULL_BYTES)
    problems.push({ text: `the disk of ${stateDir} is full`, mend, fatal: true })
  else if (freeBytes !== null && freeBytes < LITTLE_BYTES)
    problems.push({ text: `${Math.floor(freeBytes / 2 ** 20)} MiB are free for ${stateDir}`, mend, fatal: false })
  if (freeInodes === 0)
    problems.push({ text: `the disk of ${stateDir} can hold no more files (inodes)`, mend, fatal: true })
  if (isMemory(facts.fileSystem))
    problems.push({
      text: `${stateDir} lies in memory (${facts.fileSystem}): a reboot empties it`,
      mend: elsewhere,
      fatal: false,
    })
  for (const { program, path, age } of cleaners)
    problems.push({
      text: `${program} removes from ${path} what is old${age === '-' ? '' : ` (${age})`}, and ${stateDir} lies there`,
      mend: program === 'systemd-tmpfiles' ? keepFrom(stateDir) : elsewhere,
      fatal: false,
    })
  if (cleaners.length === 0 && /^\/(tmp|var\/tmp)\//.test(stateDir))
    problems.push({ text: `${stateDir} may be emptied by a cleaner or a reboot`, mend: elsewhere, fatal: false })
  return problems
}

/** A rule that tells systemd-tmpfiles to leave the directory and all below it alone. */
function keepFrom(stateDir: string): string {
  return `echo ${quote(`x ${stateDir}`)} | sudo install -D -m 644 /dev/stdin /etc/tmpfiles.d/muster.conf`
}

function logout({ logout: found }: Findings): Problem[] {
  return found === null ? [] : [{ ...found, fatal: true }]
}

/** Whether a git will do for git jobs: 2.31 is the oldest. */
export function isRecentGit(version: string | null): boolean {
  const [major = 0, minor = 0] = (version ?? '0.0').split('.').map(Number)
  return major > 2 || (major === 2 && minor >= 31)
}

function git({ gitVersion }: Omit<Probe, 'problems'>): Problem[] {
  if (gitVersion === null) return [{ text: 'git is not installed', mend: 'sudo apt-get install git', fatal: false }]
  if (isRecentGit(gitVersion)) return []
  return [{ text: `git ${gitVersion} is too old (2.31 is the oldest)`, mend: 'sudo apt-get install git', fatal: false }]
}

function tools({ perl, flock, limit }: MachineFacts): Problem[] {
  const problems: Problem[] = []
  if (!perl && !limit) {
    const text = 'processes that leave the session can be found only by their environment'
    problems.push({ text, mend: 'sudo apt-get install perl', fatal: false })
  }
  if (!flock && !perl) {
    const text =
      'there is neither flock nor perl: attempts seen from another container may look dead, and git jobs are refused'
    problems.push({ text, mend: 'sudo apt-get install util-linux', fatal: false })
  }
  return problems
}

function clock({ clockSkewMs }: Omit<Probe, 'problems'>): Problem[] {
  if (Math.abs(clockSkewMs) <= SKEW_MS) return []
  const seconds = Math.round(Math.abs(clockSkewMs) / 1_000)
  const text = `its clock is ${seconds} s ${clockSkewMs > 0 ? 'ahead of' : 'behind'} ours`
  return [{ text, mend: 'sudo timedatectl set-ntp true', fatal: false }]
}
