/** A probe of machines over SSH that lack this or that: each works, or refuses with the line that mends it. */
import { shellLauncher, type Probe } from '@muster/cluster'
import { startSshMachine, type SshMachine, type SshMachineOptions } from '@muster/testing/servers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { reach } from './ssh-way.js'

function machineOf(options: SshMachineOptions = {}): () => SshMachine {
  let machine: SshMachine | undefined
  beforeAll(async () => {
    machine = await startSshMachine(options)
  }, 90_000)
  afterAll(() => machine?.remove())
  return () => machine as SshMachine
}

/** What a new connection finds. */
async function probe(machine: SshMachine, stateDir?: string): Promise<Probe> {
  await using transport = reach(machine)
  const launcher = shellLauncher(transport, stateDir === undefined ? {} : { stateDir })
  try {
    return await launcher.probe()
  } finally {
    await launcher.close()
  }
}

const mends = ({ problems }: Probe): string[] => problems.map(({ mend }) => mend)

describe('a probe over SSH', () => {
  const usual = machineOf({
    setup: `mkdir -p /usr/lib/systemd/logind.conf.d
      printf '[Login]\\nKillUserProcesses=yes\\n' >/usr/lib/systemd/logind.conf.d/50-kill.conf`,
  })
  const poor = machineOf({ userland: 'busybox', loginShell: 'sh', hide: ['git', 'perl'] })

  test('of a usual account: nothing is missing, and a policy for sessions harms nobody outside of one', async () => {
    const found = await probe(usual())
    const home = `/home/${usual().user}`
    expect(found).toMatchObject({ user: usual().user, stateDir: `${home}/.local/state/muster/machine`, problems: [] })
    expect(found.disk.freeBytes).toBeGreaterThan(0)
    expect(found.gitVersion).toMatch(/^\d+\./)
    expect(Math.abs(found.clockSkewMs)).toBeLessThan(1_000)
    expect(found.cpus).toBeGreaterThanOrEqual(1)
    expect(found.memoryBytes).toBeGreaterThan(2 ** 20)
  })

  test('of a busybox without git, perl and flock: usable, with a line for each', async () => {
    const found = await probe(poor())
    expect(found.gitVersion).toBeNull()
    expect(found.shell).toContain('busybox')
    expect(found.cpus).toBeGreaterThanOrEqual(1)
    expect(found.memoryBytes).toBeGreaterThan(2 ** 20)
    expect(found.disk).toMatchObject({ freeBytes: expect.any(Number) as number })
    expect(Math.abs(found.clockSkewMs)).toBeLessThan(1_500)
    expect(mends(found)).toContain('sudo apt-get install git')
    expect(mends(found)).toContain('sudo apt-get install util-linux')
    expect(found.problems.filter(({ fatal }) => fatal)).toEqual([])
  })

  test('of an account whose home is not writable: refused with a directory that is, and usable there', async () => {
    const { user, exec } = usual()
    await exec(`mkdir -p /scratch/${user} && chown ${user} /scratch/${user} && chown root /home/${user}`)
    await exec(`chmod 755 /home/${user}; rm -rf /home/${user}/.local`)
    try {
      const refused: unknown = await probe(usual()).catch((error: unknown) => error)
      expect(refused).toMatchObject({
        code: 'STATE_DIR_UNSAFE',
        message: expect.stringContaining(`you cannot write to /home/${user}`) as string,
      })
      const [, place = ''] = /stateDir: (\S+)$/.exec((refused as { hint: string }).hint) ?? []
      expect(place).toMatch(new RegExp(`^/scratch/${user}/`))
      expect((await probe(usual(), place)).stateDir).toBe(place)
    } finally {
      await exec(`chown ${user} /home/${user}`)
    }
  })

  test('of a directory that is cleaned, in memory, or cleaned by a rule', async () => {
    const { user } = usual()
    const found = await probe(usual(), `/var/tmp/${user}-state`)
    expect(found.problems).toMatchObject([{ fatal: false, text: expect.stringContaining('cleaner') as string }])
    expect(mends(found)[0]).toMatch(/^stateDir: /)
    const memory = await probe(usual(), `/dev/shm/${user}-state`)
    expect(memory.disk.fileSystem).toBe('tmpfs')
    expect(memory.problems.map(({ text }) => text).join()).toContain('a reboot empties it')
    expect(memory.problems.filter(({ fatal }) => fatal)).toEqual([])
    await usual().exec(': >/etc/cron.daily/tmpreaper || { mkdir -p /etc/cron.daily && : >/etc/cron.daily/tmpreaper; }')
    const cleaned = await probe(usual(), `/tmp/${user}-state`)
    expect(cleaned.problems).toMatchObject([{ text: expect.stringContaining('tmpreaper') as string }])
  })
})

describe('a disk', () => {
  const small = machineOf({ diskBytes: 32 * 2 ** 20 })

  test('that is nearly full is a problem; one that is full takes nothing, and is usable again when there is room', async () => {
    const { user, exec } = small()
    const roomy = await probe(small())
    expect(roomy.problems).toMatchObject([{ fatal: false, text: expect.stringMatching(/^\d+ MiB are free/) as string }])
    expect(mends(roomy)[0]).toMatch(/^df -h /)
    await exec('cd && cat /dev/zero >zeros', { user })
    // Some blocks may come free once all is written: then nothing is refused, and nothing is placed there either.
    const full = await probe(small()).catch((error: unknown) => error)
    if (full instanceof Error)
      expect(full).toMatchObject({ code: 'MACHINE_UNUSABLE', hint: expect.stringContaining('df -h') as string })
    else expect(full).toMatchObject({ problems: [{ fatal: true, text: expect.stringContaining('is full') as string }] })
    await exec('cd && rm zeros', { user })
    expect((await probe(small())).problems).toHaveLength(1)
  })
})
