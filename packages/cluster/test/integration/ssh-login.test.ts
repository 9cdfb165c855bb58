/** Logins of every unfriendly kind: what can be worked with works, and all else is refused with the line that mends it. */
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { movedClock } from './moved-clock.js'
import { refusalOf, transportTo } from './ssh-lab.js'
import { optionsOf } from './ssh-way.js'

let machine: SshMachine

beforeAll(async () => {
  machine = await startSshMachine()
})
afterAll(() => machine?.remove())

/** Another account of the machine, which the same key opens. */
async function account(name: string, setup: string, shell = '/bin/bash'): Promise<string> {
  const { code, stderr } = await machine.exec(
    `useradd -m -s ${shell} -p '*' ${name} && cp -r /home/${machine.user}/.ssh /home/${name}/ && cd /home/${name} && ${setup} && chown -R ${name}: /home/${name}`,
  )
  if (code !== 0) throw new Error(stderr)
  return `${name}@${machine.host}:${machine.port}`
}

const to = (destination: string): ReturnType<typeof optionsOf> => optionsOf(machine, { destination })

test('a profile that prints on both outputs, without an end of line, disturbs nothing', async () => {
  const destination = await account('prints', `printf 'printf welcome; printf careful >&2; echo muster-login' >.bashrc`)
  const transport = transportTo(to(destination))
  expect(await transport.run('echo out; echo err >&2')).toMatchObject({
    code: 0,
    stdout: Buffer.from('out\n'),
    stderr: Buffer.from('err\n'),
  })
  expect(await transport.login()).toMatchObject({ HOME: '/home/prints' })
})

test('a profile that sets what jobs need is asked again after a new connection', async () => {
  const destination = await account('sets', `echo 'export PATH=/first:$PATH' >.bashrc`)
  const transport = transportTo(to(destination))
  expect((await transport.login())['PATH']).toMatch(/^\/first:/)
  await machine.exec(`echo 'export PATH=/second:$PATH' >/home/sets/.bashrc`)
  expect((await transport.login())['PATH']).toMatch(/^\/first:/)
  await machine.reboot()
  await expect
    .poll(async () => transport.login().then(({ PATH }) => PATH, String), { timeout: 30_000 })
    .toMatch(/^\/second:/)
})

test.each([
  ['ends with an error', 'exits', `echo 'echo sorry >&2; exit 3' >.bashrc`, /ended with 3.*sorry/],
  ['fails under set -e', 'fails', `echo 'set -e; false' >.bashrc`, /ended with 1/],
  ['is nologin', 'nologin', 'true', /not available/, '/usr/sbin/nologin'],
  ['is false', 'isfalse', 'true', /ended with 1/, '/bin/false'],
  [
    'is forced to another command',
    'forced',
    `sed -i 's/^/command="echo only this" /' .ssh/authorized_keys`,
    /only this/,
  ],
])('a login shell that %s is refused with what it said', async (_, name, setup, said, shell = '/bin/bash') => {
  const destination = await account(name, setup, shell)
  const error = await refusalOf(transportTo(to(destination)).run('true'))
  expect(error).toMatchObject({ code: 'MACHINE_UNUSABLE', hint: expect.stringMatching(/ssh HOST true/) as string })
  expect(error.message).toMatch(said)
  expect(error.message).not.toMatch(/\p{Cc}/u)
})

test('a profile that sleeps is refused after half a minute with the line that mends it', async () => {
  const destination = await account('sleeps', `echo 'sleep 60' >.bashrc`)
  const { clock, until } = movedClock()
  const transport = transportTo(to(destination), { clock })
  const refused = refusalOf(transport.run('true'))
  await expect.poll(async () => (await machine.exec('grep -lsa "sleep.6[0]" /proc/[0-9]*/cmdline')).stdout).not.toBe('')
  expect(await until(refused)).toBeLessThanOrEqual(32_000)
  expect(await refused).toMatchObject({
    code: 'MACHINE_UNUSABLE',
    hint: expect.stringContaining('[ -t 0 ] || return') as string,
  })
})

test('a home that is missing, or not ours to write, holds up no script', async () => {
  const missing = await account('homeless', 'true')
  await machine.exec(
    'mkdir /keys && cp /home/homeless/.ssh/authorized_keys /keys/homeless && chmod -R a+rX /keys && rm -r /home/homeless',
  )
  await machine.exec(
    `echo 'AuthorizedKeysFile .ssh/authorized_keys /keys/%u' >>/etc/ssh/sshd_config.d/keys.conf && kill -HUP $(cat /run/sshd.pid)`,
  )
  await expect
    .poll(async () =>
      transportTo(to(missing))
        .run('echo in')
        .then(({ stdout }) => stdout.toString(), String),
    )
    .toBe('in\n')
  const foreign = await account('guest', 'true')
  await machine.exec('chown root: /home/guest && chmod 755 /home/guest')
  const error = await refusalOf(transportTo(to(foreign)).put('/home/guest/state/file', 'bytes'))
  expect(error).toMatchObject({
    code: 'MACHINE_UNUSABLE',
    message: expect.stringMatching(/Permission denied/) as string,
  })
})

test('a PATH that leads nowhere is the machine as it is: scripts see it, and the session still ends well', async () => {
  const destination = await account('pathless', `echo 'PATH=/nowhere' >.bashrc`)
  const error = await refusalOf(transportTo(to(destination)).run('true'))
  expect(error).toMatchObject({ code: 'MACHINE_UNUSABLE' })
  expect(error.message).toMatch(/not found|No such file/)
})
