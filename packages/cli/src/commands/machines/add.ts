/**
 * `muster machines add`: walks a person to a machine that works: its host key, a look at it, the configuration, a first job. Whatever
 * fails before the configuration is written leaves nothing behind.
 */
import { MusterError } from '@muster/core'
import {
  command as commandJob,
  prospectMachine,
  writeChanges,
  type FileChange,
  type MachineInput,
  type MachineLook,
  type Prospect,
  type SeenHostKey,
  type SshInput,
} from '@muster/sdk'
import { followJob } from '../../follow.js'
import type { Io } from '../../io.js'
import { lookLines } from '../../render/machine.js'
import { jobJson } from '../../render/job.js'
import { withMuster } from '../../session.js'

/** Options of add. */
export interface AddFlags {
  readonly label: Record<string, string>
  readonly cpus?: number
  readonly memory?: string
  readonly gpus?: string
  readonly stateDir?: string
  readonly identity?: string
  readonly passphraseEnv?: string
  readonly passwordEnv?: string
  readonly fingerprint?: string
  readonly trust?: boolean
  readonly dryRun?: boolean
  readonly firstJob: boolean
  readonly json?: boolean
}

/** Adds a machine. Gives the exit code. */
export async function addMachine(io: Io, name: string, destination: string, flags: AddFlags): Promise<number> {
  const input = { machine: machineOf(name, destination, flags), ssh: sshOf(flags) }
  const prospect = await prospectMachine(input)
  const seen = await io.patiently(`asking ${destination} for its host key`, () => prospect.seeHostKey())
  await confirmKey(io, prospect, destination, seen, flags)
  const look = await io.patiently(`logging in to ${destination} and looking around`, () =>
    prospect.probe(seen.fingerprint),
  )
  if (!flags.json) for (const line of lookLines(look, destination)) await io.line(line)
  refuseUnusable(look)
  const changes = await prospect.changes(seen.fingerprint)
  if (flags.json)
    await io.json({ type: 'added', dryRun: flags.dryRun ?? false, ...seenJson(name, seen), ...look, changes })
  if (flags.dryRun) {
    if (!flags.json) for (const change of changes) await showChange(io, change)
    io.say('nothing was written: --dry-run')
    return 0
  }
  await writeChanges(changes)
  for (const { path, before } of changes) io.say(`${before === undefined ? 'wrote' : 'extended'} ${path}`)
  const code = flags.firstJob ? await firstJob(io, name, flags) : 0
  io.say(`try next: muster run --machine ${name} -- COMMAND (the last commit here, run there), or: muster machines`)
  io.say(`undo: muster machines remove ${name}`)
  return code
}

function machineOf(name: string, ssh: string, flags: AddFlags): MachineInput {
  const { label, cpus, memory, gpus, stateDir } = flags
  return {
    name,
    ssh,
    ...(Object.keys(label).length > 0 && { labels: label }),
    ...(cpus !== undefined && { cpus }),
    ...(memory !== undefined && { memory }),
    ...(gpus !== undefined && { gpus: gpus === 'auto' ? ('auto' as const) : gpus.split(',') }),
    ...(stateDir !== undefined && { stateDir }),
  }
}

function sshOf({ identity, passphraseEnv, passwordEnv }: AddFlags): SshInput {
  return {
    ...(identity !== undefined && { identityFile: identity }),
    ...(passphraseEnv !== undefined && { passphraseEnv }),
    ...(passwordEnv !== undefined && { passwordEnv }),
  }
}

/** Goes on only with a key that known_hosts, the command line or the person at the terminal vouches for. */
async function confirmKey(
  io: Io,
  { name }: Prospect,
  destination: string,
  seen: SeenHostKey,
  { fingerprint, trust = false }: AddFlags,
): Promise<void> {
  const place = seen.port === 22 ? seen.host : `${seen.host}:${seen.port}`
  const shown = `${place} showed the ${seen.keyType} key ${seen.fingerprint}`
  if (seen.known === 'revoked') throw new MusterError('HOST_KEY_REVOKED', `${shown}, which is marked @revoked`)
  if (fingerprint !== undefined) {
    if (fingerprint === seen.fingerprint) return io.say(`${shown}, as given`)
    throw new MusterError('HOST_KEY_CHANGED', `${shown}, given is ${fingerprint}`, {
      hint: 'Nothing was written. Ask on the machine: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub',
    })
  }
  if (seen.known === 'changed')
    throw new MusterError('HOST_KEY_CHANGED', `${shown}; known_hosts has another one for it`)
  if (seen.known === 'known') return io.say(`${shown}, which known_hosts knows`)
  io.say(`${shown}, which nobody has vouched for`)
  if (trust) return io.say(io.colors.yellow('trusting it as asked for, without a comparison'))
  const compare = `Compare it on the machine: ssh-keygen -lf ${KEY_FILES[seen.keyType] ?? '/etc/ssh/ssh_host_*_key.pub'}`
  const answer = await io.ask(`${compare}\nIs it the same? (yes/no, or paste the right fingerprint) `)
  if (answer === undefined)
    throw new MusterError('HOST_KEY_UNKNOWN', `${shown}, and nobody is there to compare it`, {
      hint: `${compare}; then: muster machines add ${name} ${destination} --fingerprint ${seen.fingerprint}`,
    })
  if (/^y(es)?$/i.test(answer.trim()) || answer.trim() === seen.fingerprint) return
  throw new MusterError('HOST_KEY_UNKNOWN', `${shown}, which was not accepted`, { hint: 'Nothing was written.' })
}

const KEY_FILES: Readonly<Record<string, string>> = {
  'ssh-ed25519': '/etc/ssh/ssh_host_ed25519_key.pub',
  'ssh-rsa': '/etc/ssh/ssh_host_rsa_key.pub',
  'ecdsa-sha2-nistp256': '/etc/ssh/ssh_host_ecdsa_key.pub',
}

/** A machine that could not run anything is not worth a line in a file. */
function refuseUnusable({ name, probe }: MachineLook): void {
  const fatal = probe.problems.filter((problem) => problem.fatal)
  if (fatal.length === 0) return
  throw new MusterError('MACHINE_UNUSABLE', `${name}: ${fatal.map(({ text }) => text).join('; ')}`, {
    hint: `Nothing was written. Mend it there, then try again: ${fatal.map(({ mend }) => mend).join('; ')}`,
  })
}

function seenJson(name: string, { fingerprint, keyType, known }: SeenHostKey): object {
  return { name, hostKey: { fingerprint, keyType, known } }
}

async function showChange(io: Io, { path, before, after }: FileChange): Promise<void> {
  const old = new Set((before ?? '').split('\n'))
  await io.line(`${before === undefined ? 'would write' : 'would change'} ${path}:`)
  for (const line of after.trimEnd().split('\n')) await io.line(`${old.has(line) ? ' ' : '+'} ${line}`)
}

/** Runs `uname -a` there. The machine stays configured whatever comes of it. */
async function firstJob(io: Io, name: string, { json = false }: AddFlags): Promise<number> {
  io.say(`a first job: uname -a on ${name}`)
  const code = await withMuster(io, true, async (muster) => {
    const job = await muster.submit(commandJob({ run: ['uname', '-a'] }), { machine: name, timeout: '1m' })
    const ended = await followJob(io, muster, job, { json })
    if (json) await io.json(jobJson(await job.status()))
    return ended
  })
  if (code !== 0) io.say(io.colors.yellow(`the first job did not succeed; ${name} stays configured`))
  return code === 0 ? 0 : 1
}
