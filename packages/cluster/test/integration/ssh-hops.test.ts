/** Machines behind machines: the way of the user's ssh configuration, each host on it verified, and a hop that dies in the middle. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SshOptions } from '@muster/cluster'
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { movedClock } from './moved-clock.js'
import { openDoor, refusalOf, refusedConnection, room, transportTo } from './ssh-lab.js'

let machines: [SshMachine, SshMachine, SshMachine]

beforeAll(async () => {
  machines = await Promise.all([startSshMachine(), startSshMachine(), startSshMachine()])
})
afterAll(async () => {
  await Promise.all((machines ?? []).map((machine) => machine.remove()))
})

/** A configuration that leads to `near`, from there to `middle`, and from there to `far`. */
async function config(more = ''): Promise<SshOptions> {
  const directory = await room()
  const [near, middle, far] = machines
  const host = (alias: string, { user, identityFile }: SshMachine, lines: readonly string[]): string =>
    [`Host ${alias}`, `User ${user}`, `IdentityFile ${identityFile}`, ...lines].join('\n  ')
  const text = [
    more,
    host('near', near, ['HostName 127.0.0.1', `Port ${near.port}`]),
    host('middle', middle, [`HostName ${middle.internalHost}`, 'ProxyJump near']),
    host('far', far, [`HostName ${far.internalHost}`, 'ProxyJump middle']),
  ].join('\n')
  await writeFile(join(directory, 'config'), `${text}\n`)
  const known = await Promise.all(machines.map(({ knownHosts }) => readFile(knownHosts, 'utf8')))
  await writeFile(join(directory, 'known_hosts'), known.join(''))
  const knownHostsFiles = [join(directory, 'known_hosts')]
  return { destination: 'far', configFile: join(directory, 'config'), knownHostsFiles, agent: false }
}

const hostName = async (machine: SshMachine): Promise<string> => (await machine.exec('cat /etc/hostname')).stdout

test('through one hop and through two, by the names of the configuration', async () => {
  const [, middle, far] = machines
  const options = await config()
  const named = { ...options, destination: 'middle' }
  expect((await transportTo(named).run('cat /etc/hostname')).stdout.toString()).toBe(await hostName(middle))
  const transport = transportTo(options)
  expect((await transport.run('cat /etc/hostname')).stdout.toString()).toBe(await hostName(far))
  const bytes = Buffer.alloc(3 * 2 ** 20, 'through the hops')
  expect((await transport.run('cat', { stdin: bytes })).stdout.equals(bytes)).toBe(true)
})

test('each host on the way is verified', async () => {
  const options = await config()
  for (const [index, machine] of machines.entries()) {
    const file = join(await room(), 'known_hosts')
    const others = machines.filter((_, at) => at !== index)
    await writeFile(file, (await Promise.all(others.map(({ knownHosts }) => readFile(knownHosts, 'utf8')))).join(''))
    const error = await refusedConnection({ ...options, knownHostsFiles: [file] })
    expect(error).toMatchObject({ code: 'HOST_KEY_UNKNOWN' })
    expect(error.message).toContain(machine.fingerprint)
  }
})

test('what a hop refuses is said of the right host', async () => {
  const [near, , far] = machines
  const door = await openDoor(near, ['AllowTcpForwarding no'])
  const strict = await config(
    `Host near\n  HostName ${door.host}\n  Port ${door.port}\n  HostKeyAlias [127.0.0.1]:${near.port}`,
  )
  const none = await refusedConnection({ ...strict, destination: 'middle' })
  expect(none).toMatchObject({ code: 'SSH_CONNECT_FAILED', details: { reason: 'refused' } })
  expect(none.hint).toMatch(/AllowTcpForwarding/)

  const nobody = await refusedConnection(await config(`Host far\n  Port 9`))
  expect(nobody).toMatchObject({
    code: 'SSH_CONNECT_FAILED',
    details: { reason: 'refused', host: far.internalHost, port: 9 },
  })
  const key = await refusedConnection(await config('Host middle\n  User nobody-here'))
  expect(key.code).toBe('SSH_AUTH_FAILED')
  expect(key.message).toMatch(/^nobody-here@/)
})

test.each([
  [
    'whose processes are killed',
    async (hop: SshMachine) => {
      await hop.exec('kill -9 $(pgrep -f "^sshd: ada")')
    },
  ],
  ['that freezes', (hop: SshMachine) => hop.pause()],
])('a hop in the middle %s is a lost connection, and the way comes back with it', async (_, fail) => {
  const [, middle, far] = machines
  const { clock, until } = movedClock()
  const transport = transportTo({ ...(await config()), connectTimeoutMs: 60_000 }, { clock })
  await transport.run('true')
  const stream = await transport.open({ command: 'echo there; cat' })
  const broken = new Promise<Error>((resolve, reject) => {
    stream.once('error', resolve).once('end', () => reject(new Error('it ended')))
  })
  stream.resume()
  const running = refusalOf(transport.run('sleep 600'))
  await expect.poll(async () => (await far.exec('grep -lsa "sleep.60[0]" /proc/[0-9]*/cmdline')).stdout).not.toBe('')
  await fail(middle)
  // The hop before it answers as ever, and may never hear of it.
  expect(await until(running)).toBeLessThanOrEqual(45_000)
  expect(await running).toMatchObject({ code: 'TRANSPORT_LOST' })
  expect(await broken).toMatchObject({ code: 'TRANSPORT_LOST' })
  await middle.unpause().catch(() => undefined)
  const back = async (): Promise<string> => {
    const answer = transport.run('echo back').then(({ stdout }) => stdout.toString(), String)
    await until(answer)
    return answer
  }
  await expect.poll(back, { timeout: 30_000 }).toBe('back\n')
})

test('a hop that does not answer is named, within the time for connecting', async () => {
  const [, middle] = machines
  const { clock, until } = movedClock()
  const transport = transportTo(await config(), { clock })
  await middle.pause()
  onTestFinished(() => middle.unpause())
  const refused = refusalOf(transport.run('true'))
  expect(await until(refused)).toBeLessThanOrEqual(2 * 15_000 + 1_000)
  expect(await refused).toMatchObject({
    code: 'SSH_CONNECT_FAILED',
    details: { reason: 'timeout', host: middle.internalHost },
  })
})
