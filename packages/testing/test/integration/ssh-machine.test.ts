/** Machines in containers, met as a user meets them: with the real ssh client, its key file and its known_hosts. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { removeLeftMachines, startSshMachine, type SshMachine, type SshMachineOptions } from '@muster/testing/servers'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

// Other test files have machines too: the files of these lie apart.
const scratch = mkdtempSync(join(tmpdir(), 'muster-test-'))
process.env['TMPDIR'] = scratch
afterAll(() => rmSync(scratch, { recursive: true }))

const BOOT_ID = '/proc/sys/kernel/random/boot_id'

/** What a command prints on a machine over the real ssh client. */
async function ssh(machine: SshMachine, command: string, ...options: string[]): Promise<string> {
  const strict = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${machine.knownHosts}`,
    'IdentitiesOnly=yes',
  ]
  // Of several lines for one option, ssh takes the first.
  const flags = [...options, ...strict, `IdentityFile=${machine.identityFile}`].flatMap((option) => ['-o', option])
  const args = ['-F', 'none', ...flags, '-p', String(machine.port), `${machine.user}@${machine.host}`, command]
  return (await promisify(execFile)('ssh', args, { env: { PATH: process.env['PATH'] } })).stdout.trim()
}

describe('a usual machine', () => {
  let machine: SshMachine
  beforeAll(async () => {
    machine = await startSshMachine()
  })
  afterAll(() => machine.remove())

  test('answers the ssh client by key, known to its known_hosts, as a person without rights', async () => {
    expect(await ssh(machine, 'id -un; pwd; echo $0; sudo -n true 2>/dev/null || echo no root')).toBe(
      'ada\n/home/ada\nbash\nno root',
    )
    const printed = await promisify(execFile)('ssh-keygen', ['-lf', machine.knownHosts])
    expect(printed.stdout).toContain(machine.fingerprint)
    const stranger = ssh(machine, 'true', 'UserKnownHostsFile=/dev/null')
    await expect(stranger).rejects.toThrow(/Host key verification failed/)
  })

  test('has its own processes: init, sshd and those of the connection', async () => {
    const names = new Set((await ssh(machine, 'ps -e -o comm=')).split('\n'))
    names.delete('bash')
    expect([...names].sort()).toEqual(['ps', 'sshd', 'tini'])
  })

  test('runs scripts from inside, as whom one wants, with what they read and how they end', async () => {
    const script = 'id -un; cat; echo broken >&2; exit 7'
    expect(await machine.exec(script, { user: 'ada', stdin: 'read\n' })).toEqual({
      ...{ code: 7, stdout: 'ada\nread\n', stderr: 'broken\n' },
    })
    const { stdout } = await machine.exec('head -c 3000000 /dev/zero | tr "\\0" x')
    expect(stdout).toHaveLength(3_000_000)
  })

  test('a reboot ends every process, keeps files and port, and gives another boot id to everybody', async () => {
    const before = await ssh(machine, `cat ${BOOT_ID}; echo kept >file; setsid sleep 3600 >/dev/null 2>&1 </dev/null &`)
    await expect.poll(async () => (await machine.exec('pgrep -c sleep')).stdout).toBe('1\n')
    await machine.reboot()
    const [after, file] = (await ssh(machine, `cat ${BOOT_ID} file`)).split('\n')
    expect(after).toMatch(/^[0-9a-f-]{36}$/)
    expect(after).not.toBe(before)
    expect(file).toBe('kept')
    expect((await machine.exec(`pgrep -c sleep; cat ${BOOT_ID}`)).stdout).toBe(`0\n${after!}\n`)
  })

  test('frozen it answers nothing and loses nothing; without power nobody listens', async () => {
    const lines = spawnReader(machine)
    await lines.next()
    await machine.pause()
    lines.write('thawed\n')
    await expect(ssh(machine, 'true', 'ConnectTimeout=1')).rejects.toThrow(/timed out/)
    const next = lines.next()
    await machine.unpause()
    expect(await next).toBe('thawed\n')
    lines.end()
    await machine.stop()
    await expect(ssh(machine, 'true')).rejects.toThrow(/Connection refused/)
    await machine.start()
    expect(await ssh(machine, 'cat file')).toBe('kept')
  })
})

/** `cat` over ssh, after a line that says that it is there. */
function spawnReader(machine: SshMachine) {
  const args = [
    '-F',
    'none',
    '-i',
    machine.identityFile,
    '-o',
    `UserKnownHostsFile=${machine.knownHosts}`,
    '-o',
    'BatchMode=yes',
  ]
  const child = spawn('ssh', [...args, '-p', String(machine.port), `ada@${machine.host}`, 'echo up; exec cat'])
  return {
    next: async () => String(((await once(child.stdout, 'data')) as [Buffer])[0]),
    write: (line: string) => child.stdin.write(line),
    end: () => child.stdin.end(),
  }
}

describe('unusual machines', () => {
  const machines: SshMachine[] = []
  const start = async (options: SshMachineOptions): Promise<SshMachine> => {
    const machine = await startSshMachine(options)
    machines.push(machine)
    return machine
  }
  afterEach(async () => {
    await Promise.all(machines.splice(0).map((machine) => machine.remove()))
  })

  test('three at once, each with its own keys, address and processes; one reaches another as a jump host does', async () => {
    const [one, two, three] = await Promise.all([start({}), start({}), start({})])
    const all = [one, two, three]
    for (const what of ['port', 'fingerprint', 'internalHost', 'containerId'] as const)
      expect(new Set(all.map((machine) => machine[what])).size).toBe(3)
    expect(await ssh(one, `bash -c 'exec 3<>/dev/tcp/${two.internalHost}/22; head -c 8 <&3'`)).toBe('SSH-2.0-')
  })

  test('login shells, with a start file that prints', async () => {
    // What only this shell understands: fish's builtin, tcsh's and bash's own variable.
    const proofs = { fish: 'string length abc', tcsh: 'echo $tcsh', bash: 'echo $BASH_VERSION' } as const
    const print = async (loginShell: keyof typeof proofs): Promise<string> =>
      ssh(await start({ loginShell, profile: 'echo noise' }), proofs[loginShell])
    const [fish, tcsh, bash] = await Promise.all([print('fish'), print('tcsh'), print('bash')])
    expect(fish).toBe('noise\n3')
    expect(tcsh).toMatch(/^noise\n6\./)
    expect(bash).toMatch(/^noise\n5\./)
  })

  test('lines for sshd, tools that are not there, a password, what root prepares', async () => {
    const machine = await start({
      sshdConfig: ['MaxSessions 1', 'ClientAliveInterval 7'],
      hide: ['git', 'perl', 'flock'],
      password: "it's a secret",
      setup: 'echo prepared >/etc/prepared',
    })
    const settings = (await machine.exec('/usr/sbin/sshd -T')).stdout
    expect(settings).toMatch(/^maxsessions 1$/m)
    expect(settings).toMatch(/^clientaliveinterval 7$/m)
    expect(await ssh(machine, 'for t in git perl flock; do command -v $t; done; cat /etc/prepared; setsid true')).toBe(
      'prepared',
    )
    expect((await machine.exec('getent shadow ada')).stdout).toMatch(/^ada:\$y\$/)
  })

  test('busybox userland: sh and the tools are busybox, flock is not there, git still is', async () => {
    const machine = await start({ userland: 'busybox', loginShell: 'sh' })
    expect(
      await ssh(
        machine,
        'for f in /bin/sh /usr/bin/sed /usr/bin/ps; do readlink $f; done; command -v flock; git --version | cut -c1-3',
      ),
    ).toBe('/bin/busybox\n/bin/busybox\n/bin/busybox\ngit')
    await machine.reboot()
    expect(await ssh(machine, 'echo $0')).toMatch(/sh$/)
  })

  test('a small disk is full when it is full, and holds over a reboot', async () => {
    const machine = await start({ diskBytes: 8_000_000 })
    expect(await ssh(machine, 'echo kept >file; head -c 20000000 /dev/zero >big 2>&1 || echo full; rm big')).toMatch(
      /full$/,
    )
    expect(await ssh(machine, 'head -c 6000000 /dev/zero >big && wc -c <big')).toBe('6000000')
    await machine.reboot()
    expect(await ssh(machine, 'cat file; stat -f -c %T .')).toBe('kept\next2/ext3')
  })

  test('one that does not come up says what it printed, and leaves nothing', async () => {
    const before = await readdir(scratch)
    await expect(startSshMachine({ setup: 'echo "I broke" >&2; exit 1' })).rejects.toMatchObject({
      code: 'MACHINE_UNUSABLE',
      message: expect.stringContaining('I broke') as string,
    })
    expect(await readdir(scratch)).toEqual(before)
  })

  test('remove leaves nothing here either, and may be said twice', async () => {
    const machine = await startSshMachine()
    await machine.remove()
    await machine.remove()
    expect([machine.identityFile, machine.knownHosts].filter((file) => existsSync(file))).toEqual([])
    await expect(ssh(machine, 'true')).rejects.toThrow(/Connection refused/)
  })
})

test('what an interrupted run left is removed, and what a living one owns is not', async () => {
  const mine = await startSshMachine()
  const script = `
    import { startSshMachine } from '@muster/testing/servers'
    console.log((await startSshMachine()).containerId)
    setInterval(() => {}, 1000)`
  const other = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const id = String(((await once(other.stdout, 'data')) as [Buffer])[0]).trim()
  expect(await removeLeftMachines()).not.toContain(id)
  other.kill('SIGKILL')
  await once(other, 'exit')
  await removeLeftMachines()
  // Another run may have been first: gone it is all the same, its files here too.
  await expect(promisify(execFile)('docker', ['inspect', id])).rejects.toThrow(/No such/)
  expect(await ssh(mine, 'echo alive')).toBe('alive')
  await mine.remove()
  expect(await readdir(scratch)).toEqual([])
})
