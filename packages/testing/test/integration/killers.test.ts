/** The killers of the fault kit, on this host and inside a machine: they find by mark, and kill only what was found. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { findProcesses, here, inside, killOne, killProcesses } from '@muster/testing'
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'

const children: ChildProcess[] = []

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** A process that waits for ever, with the mark in its command line or its environment. */
async function sleeper(mark: string, where: 'command' | 'environment'): Promise<ChildProcess> {
  const env = { PATH: process.env['PATH'], ...(where === 'environment' && { MARK: mark }) }
  const child = spawn('sh', ['-c', 'echo up; read never', where === 'command' ? mark : 'plain'], { env })
  children.push(child)
  await once(child.stdout, 'data')
  return child
}

test('here: finds by command line and by environment, and neither itself nor others', async () => {
  const mark = `mark "it's" ${process.pid} é`
  const marked = [await sleeper(mark, 'command'), await sleeper(mark, 'environment')]
  await sleeper('another', 'command')
  const found = await findProcesses(here, mark)
  expect(found.map(({ pid }) => pid)).toEqual(marked.map(({ pid }) => pid).sort((a, b) => a! - b!))
  expect(found[0]?.command).toBe(`sh -c echo up; read never ${mark}`)
})

test('here: kills one of several, the one that chance names, and passes over the dead', async () => {
  const mark = `mark-of-${process.pid}-many`
  const [lower, upper] = [await sleeper(mark, 'command'), await sleeper(mark, 'command')].sort(
    (a, b) => a.pid! - b.pid!,
  )
  const dies = once(upper!, 'exit')
  const victim = await killOne(here, mark, () => 0.99)
  expect(victim?.pid).toBe(upper!.pid)
  expect(await dies).toEqual([null, 'SIGKILL'])
  const last = once(lower!, 'exit')
  await killProcesses(here, [victim!, { pid: lower!.pid!, command: '' }], 'TERM')
  expect(await last).toEqual([null, 'SIGTERM'])
  expect(await killOne(here, mark, () => 0)).toBeUndefined()
})

let machine: SshMachine
beforeAll(async () => {
  machine = await startSshMachine({ userland: 'busybox' })
})
afterAll(() => machine.remove())

test('inside a machine, with the tools it has: its own processes, and none of this host', async () => {
  const mark = `mark-of-${process.pid}-inside`
  await sleeper(mark, 'command')
  await machine.exec(`MARK=${mark} setsid sleep 3600 >/dev/null 2>&1 </dev/null & `)
  const place = inside(machine)
  await expect
    .poll(async () => (await findProcesses(place, mark)).map(({ command }) => command))
    .toEqual(['sleep 3600'])
  await killOne(place, mark, () => 0)
  await expect.poll(() => findProcesses(place, mark)).toEqual([])
  expect(await findProcesses(here, mark)).toHaveLength(1)
})
