/** `muster machines` on the machine at hand: looked at without a leader, taken out of use and into use again. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Sandbox, type Running } from './cli.js'

const PATIENT = { timeout: 20_000, interval: 20 }
let box: Sandbox

beforeEach(async () => {
  box = await Sandbox.open()
})
afterEach(() => box.close())

const said = (running: Running, text: string | RegExp) =>
  vi.waitFor(() => expect(running.stdout + running.stderr).toMatch(text), PATIENT)

test('before anybody looked the configured ones are listed; a look needs no leader', async () => {
  expect((await box.muster('machines')).stdout).toMatch(/^local +- .* never$/m)
  expect(JSON.parse((await box.muster('machines', '--json')).stdout)).toMatchObject({
    type: 'machine',
    name: 'local',
    state: null,
    configured: true,
    ssh: null,
  })
  const { code, stdout } = await box.muster('machines', 'probe', 'local')
  expect(code).toBe(0)
  for (const line of [/^local$/m, /^ {2}cpus +\d/m, /^ {2}disk +\S+ \S+ free/m, /^ {2}git +2\./m])
    expect(stdout).toMatch(line)
  const json: unknown = JSON.parse((await box.muster('machines', '--probe', '--json')).stdout)
  expect(json).toMatchObject({ type: 'probe', machine: 'local', facts: { gpus: [] } })
  const unknown = await box.muster('machines', 'probe', 'local', 'nope')
  expect(unknown.code).toBe(1)
  expect(unknown.stdout).toMatch(/^ {2}cpus/m)
  expect(unknown.stderr).toContain('[UNKNOWN_MACHINE]')
})

test('a state directory that cannot be trusted refuses the job at once, and shows in a probe', async () => {
  await writeFile(join(box.root, 'file'), '')
  const machine = { name: 'local', transport: 'local', stateDir: join(box.root, 'file') }
  await writeFile(join(box.project, 'muster.yaml'), JSON.stringify({ machines: [machine] }))
  for (const args of [
    ['machines', 'probe', 'local'],
    ['submit', '--no-repo', '--', 'true'],
  ]) {
    const { code, stderr } = await box.muster(...args)
    expect(stderr).toMatch(/\[STATE_DIR_UNSAFE\]\nhint: \S/)
    expect(code).toBe(1)
  }
  expect((await box.muster('ps', '--all', '--json')).stdout).toBe('')
})

test('drain --wait takes care until what runs has finished, with no leader about; what waits says why; resume is the undo', async () => {
  const running = box.start('run', '--no-repo', '--', 'sh', '-c', 'echo up; sleep 3; echo done')
  await said(running, /^up$/m)
  running.child.kill('SIGTERM')
  await running.ended
  const drained = await box.muster('machines', 'drain', 'local', '--reason', 'new disk', '--wait')
  expect(drained.code, drained.stderr).toBe(0)
  expect(drained.stderr).toMatch(/local still has [0-9a-f]{8} \((running|completed)\)/)
  expect(drained.stderr).toContain('local is drained: nothing of this record is there')
  expect(JSON.parse((await box.muster('ps', '--all', '--json')).stdout)).toMatchObject({ state: 'completed' })
  expect((await box.muster('machines')).stdout).toMatch(
    /^local +drained .*is drained by user:\S+ since .*\(new disk\)/m,
  )

  const waiting = box.start('run', '--no-repo', '--', 'echo', 'at last')
  await said(waiting, /waits: local is drained by user:\S+ since \d\d:\d\d \(new disk\)/)
  expect(await box.muster('machines', 'resume', 'local')).toMatchObject({ code: 0 })
  expect(await waiting.ended).toMatchObject({ code: 0, stdout: 'at last\n' })
  const again = await box.muster('machines', 'resume', 'local', '--json')
  expect(JSON.parse(again.stdout)).toMatchObject({ type: 'machine', name: 'local', state: 'ready', drain: null })
  for (const verb of ['drain', 'resume', 'remove', 'free']) {
    const { code, stderr } = await box.muster('machines', verb, 'nope')
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('[UNKNOWN_MACHINE]') as string })
  }
  expect((await box.muster('machines', 'drain')).code).toBe(2)
})
