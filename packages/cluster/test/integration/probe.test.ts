/** A probe of real shells: this host, the same host with nothing but busybox, and state directories that cannot be used. */
import { localTransport, shellLauncher, type Probe, type ShellLauncher } from '@muster/cluster'
import { systemClock, type Clock } from '@muster/core'
import { spawnSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'

const ROOT = process.getuid?.() === 0
type Shell = readonly [string, ...string[]]
/** Our own user without a privilege to write where modes forbid it. */
const UNPRIVILEGED: Shell = ROOT ? ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '/bin/sh'] : ['/bin/sh']
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'muster-test-probe-'))
  await chmod(directory, 0o755)
})
afterEach(() => rm(directory, { recursive: true, force: true }))

interface Given {
  readonly shell?: Shell
  readonly stateDir?: string
  readonly path?: string
  readonly home?: string
  readonly clock?: Clock
}

function launcher({ shell = ['/bin/sh'], path = process.env['PATH'] ?? '', home = directory, ...options }: Given) {
  const transport = localTransport({ shell, environment: { PATH: path, HOME: home, LC_ALL: 'C' } })
  const opened: ShellLauncher = shellLauncher(transport, options)
  onTestFinished(async () => {
    await opened.close()
    await transport.close()
  })
  return opened
}

const probe = (given: Given): Promise<Probe> => launcher(given).probe()
const stateDir = (): string => join(directory, 'state')

/** A directory that holds busybox under all of its names. */
async function onlyBusybox(): Promise<string> {
  const bin = join(directory, 'bin')
  await mkdir(bin)
  expect(spawnSync('/usr/bin/busybox', ['--install', '-s', bin]).status).toBe(0)
  return bin
}

describe('a probe', () => {
  test('of this host, and of the same with nothing but busybox, says the same', async () => {
    const whole = await probe({ stateDir: stateDir() })
    expect(whole).toMatchObject({ stateDir: stateDir(), bootId: expect.stringMatching(/-/) as string })
    expect(whole.cpus).toBeGreaterThanOrEqual(1)
    expect(whole.cpus).toBeLessThanOrEqual(cpus().length)
    expect(whole.memoryBytes).toBeGreaterThan(2 ** 20)
    expect(whole.memoryBytes).toBeLessThanOrEqual(totalmem())
    expect(whole.disk.freeBytes).toBeGreaterThan(0)
    expect(whole.disk.fileSystem).toMatch(/^[a-z][a-z0-9.]+$/)
    expect(whole.gitVersion).toMatch(/^\d+\.\d+/)
    expect(whole.maxSessions).toBeNull()
    expect(Math.abs(whole.clockSkewMs)).toBeLessThan(500)

    const path = await onlyBusybox()
    const poor = await probe({ stateDir: stateDir(), shell: ['/usr/bin/busybox', 'sh'], path })
    const { os, arch, cpus: slots, memoryBytes, bootId, user, hostname } = whole
    expect(poor).toMatchObject({ os, arch, cpus: slots, memoryBytes, bootId, user, hostname, gitVersion: null })
    expect(poor.disk.fileSystem).toBe(whole.disk.fileSystem)
    expect(Math.abs(poor.clockSkewMs)).toBeLessThan(1_500)
    expect(poor.problems.map(({ mend }) => mend)).toEqual(
      expect.arrayContaining(['sudo apt-get install git', 'sudo apt-get install util-linux']) as string[],
    )
    expect(poor.problems.filter(({ fatal }) => fatal)).toEqual([])
  })

  test('finds a clock that is wrong', async () => {
    const clock = { ...systemClock, now: () => systemClock.now() - 60_000 }
    const { clockSkewMs, problems } = await probe({ stateDir: stateDir(), clock })
    expect(Math.abs(clockSkewMs - 60_000)).toBeLessThan(500)
    expect(problems).toContainEqual({
      text: 'its clock is 60 s ahead of ours',
      mend: 'sudo timedatectl set-ntp true',
      fatal: false,
    })
  })
})

/** A shell that sees a file system of its own at `at`, filled by `fill`. */
function mounted(at: string, options: string, fill: string): Shell {
  const script = `mount -t tmpfs -o ${options} none "$1" && cd "$1" && { ${fill}; } 2>/dev/null; cd / && exec /bin/sh`
  return ['unshare', ...(ROOT ? [] : ['--user', '--map-root-user']), '--mount', '/bin/sh', '-c', script, 'sh', at]
}

describe('a state directory that cannot be used is refused before anything is brought', () => {
  test('a home that is not writable: with a place that is, or at least a form to fill', async () => {
    await chmod(directory, 0o555)
    await expect(probe({ shell: UNPRIVILEGED })).rejects.toMatchObject({
      code: 'STATE_DIR_UNSAFE',
      message: expect.stringContaining(`you cannot write to ${directory}`) as string,
      hint: expect.stringMatching(/stateDir: \/\S+$/) as string,
    })
    await chmod(directory, 0o755)
    expect(await readdir(directory)).toEqual([])
  })

  test('a home that does not exist, a file in the way, a file system without directories', async () => {
    await expect(probe({ shell: UNPRIVILEGED, home: '/proc/nonexistent' })).rejects.toMatchObject({
      code: 'STATE_DIR_UNSAFE',
    })
    await expect(probe({ stateDir: '/etc/passwd/x' })).rejects.toMatchObject({
      message: expect.stringContaining('/etc/passwd is not a directory') as string,
    })
    await expect(probe({ stateDir: '/proc/muster' })).rejects.toMatchObject({ code: 'STATE_DIR_UNSAFE' })
  })

  test('a disk that is mounted read-only, and one that is full', async () => {
    await mkdir(stateDir(), { mode: 0o700 })
    const readOnly = probe({ stateDir: join(stateDir(), 'm'), shell: mounted(stateDir(), 'ro', ':') })
    await expect(readOnly).rejects.toMatchObject({
      code: 'STATE_DIR_UNSAFE',
      message: expect.stringContaining('read-only') as string,
    })
    const full = { code: 'MACHINE_UNUSABLE', hint: expect.stringContaining('df -h') as string }
    const fills = ['mkdir -m 700 m; cat /dev/zero >z', 'cat /dev/zero >z']
    for (const fill of fills)
      for (const options of ['size=64k', 'size=1m,nr_inodes=3']) {
        const shell = mounted(stateDir(), options, fill)
        await expect(probe({ stateDir: join(stateDir(), 'm'), shell })).rejects.toMatchObject(full)
      }
  })
})
