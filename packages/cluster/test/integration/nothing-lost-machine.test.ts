/**
 * Nothing is lost when a machine, a supervisor or a tree of processes misbehaves, on a machine over SSH: P2 (only the machine's word
 * ends an attempt), P5 (cancel leaves nothing behind, or says what is stuck).
 */
import { findProcesses, inside, killProcesses } from '@muster/testing'
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { Leading } from './leading.js'
import { configured, logOf, said, stateDirOf, until } from './ssh-world.js'
import { STUBBORN, uniqueSeconds } from './stubborn.js'
import { script, World } from './world.js'

const PATIENT = { timeout: 40_000 }
let machine: SshMachine
let world: World
let home: string

beforeAll(async () => {
  machine = await startSshMachine({ setup: STUBBORN + DRIVER })
})
afterAll(() => machine?.remove())
beforeEach(async () => {
  world = await World.make('lost-machine', (directory) => [configured('far', machine, directory)])
  home = stateDirOf(machine, world.directory)
})
afterEach(() => world.clear())

/** What of the machine's processes holds a text in its command line or environment, zombies and what looks for it aside. */
const alive = async (mark: string): Promise<string[]> =>
  (await findProcesses(inside(machine), mark)).map(({ command }) => command)

/** A driver with two GPUs. */
const DRIVER = `
cat >/usr/bin/nvidia-smi <<'END'
#!/bin/sh
case "$*" in *query-compute-apps*) exit 0 ;; esac
echo 'GPU-1, Fake, 1000, 0'
echo 'GPU-2, Fake, 1000, 0'
END
chmod 755 /usr/bin/nvidia-smi
`

it('P2 7 a killed supervisor and a reboot are a lost machine: the record says which, the next attempt runs, no failure counts', async () => {
  const sleep = uniqueSeconds()
  const text = (name: string): string =>
    `echo "attempt $MUSTER_ATTEMPT"; [ "$MUSTER_ATTEMPT" = 2 ] || { touch ${home}.${name}; sleep ${sleep} & sleep ${sleep}; }`
  await world.here('lead', async (cluster, store) => {
    const orphaned = await cluster.submit(script(text('one')), { grace: '100ms' })
    await until(machine, `-e ${home}.one`)
    await expect.poll(async () => (await orphaned.status()).state, PATIENT).toBe('running')
    await said(machine, `read -r pid rest <${home}/attempts/${orphaned.id}.1/claim; kill -KILL $pid`)
    await expect.poll(() => orphaned.status(), PATIENT).toMatchObject({ state: 'pending', reason: 'machine-lost' })
    expect(await alive(sleep)).toEqual([])

    const rebooted = await cluster.submit(script(text('two')), { grace: '100ms' })
    await until(machine, `-e ${home}.two`)
    await expect.poll(async () => (await rebooted.status()).state, PATIENT).toBe('running')
    await machine.reboot()
    for (const [job, why] of [
      [orphaned, 'its supervisor was killed'],
      [rebooted, 'the machine was rebooted'],
    ] as const) {
      expect(await job.wait({ signal: AbortSignal.timeout(40_000) })).toMatchObject({
        state: 'completed',
        attempt: 2,
        failures: 0,
      })
      expect((await logOf(job)).toString()).toBe('attempt 1\nattempt 2\n')
      const [first, second] = await store.attempts(job.id)
      expect([first?.outcome, second?.outcome]).toEqual(['machine-lost', 'succeeded'])
      const retry = (await store.history(job.id)).find(({ action }) => action === 'retry')
      expect(retry).toMatchObject({ attempt: 1, actor: 'machine:far' })
      expect(retry?.sentence).toContain(why)
    }
  })
})

it('P5 4 a tree that does all it can to stay is ended whole by a cancel, and nothing of it is left on the machine', async () => {
  const sleep = uniqueSeconds()
  const escapes = [
    `(trap "" TERM; sleep ${sleep}; sleep ${sleep}) &`,
    `setsid sleep ${sleep} &`,
    `( setsid sh -c "sleep ${sleep} & sleep 0.05" & )`,
    `( setsid sh -c "sleep ${sleep} <&- >&- 2>&- &" & )`,
    `( cd / && setsid env -i /bin/sleep ${sleep} <&- >&- 2>&- & )`,
  ]
  await world.here('lead', async (cluster) => {
    const text = `${escapes.join('\n')}\nsleep 0.2; echo up; trap '' TERM; while :; do sleep ${sleep}; done`
    const job = await cluster.submit(script(text), { grace: '200ms' })
    for await (const line of job.logs()) if (line.text === 'up') break
    expect((await alive(sleep)).length).toBeGreaterThanOrEqual(escapes.length)
    await job.cancel('enough')
    expect(await job.wait({ signal: AbortSignal.timeout(40_000) })).toMatchObject({ state: 'cancelled', attempt: 1 })
    expect(await alive(sleep)).toEqual([])
    await expect
      .poll(() => said(machine, `ls ${home}/attempts ${home}/keep ${home}/gpus`), PATIENT)
      .not.toContain(job.id)
  })
})

it('P5 what the user may not kill is stuck: running still, its GPU in quarantine, cancelled once it is gone', async () => {
  const sleep = uniqueSeconds()
  const leading = await Leading.over(world)
  const { store } = leading
  try {
    await expect.poll(() => store.machines(), PATIENT).toMatchObject([{ state: 'ready' }])
    const held = await leading.submit(`stubborn ${sleep} & wait`, { gpus: 1 })
    const stubborn = async () =>
      (await findProcesses(inside(machine), sleep)).find((p) => p.command.startsWith('wait-for'))
    await expect.poll(stubborn, PATIENT).toBeDefined()
    const survivor = await stubborn()
    await expect.poll(() => store.get(held), PATIENT).toMatchObject({ state: 'running' })
    await store.cancel(held, 'user:me', 'enough')
    const stuck = { pids: [survivor?.pid], gpus: ['GPU-1'] }
    await expect.poll(() => store.get(held), PATIENT).toMatchObject({ state: 'running', conditions: { stuck } })
    await expect
      .poll(async () => Object.keys((await store.machines())[0]?.quarantined ?? {}), PATIENT)
      .toEqual(['GPU-1'])

    const other = await leading.submit('echo "$CUDA_VISIBLE_DEVICES" >"$MUSTER_RESULT"', { gpus: 1 })
    await expect.poll(() => store.get(other), PATIENT).toMatchObject({ result: { value: 'GPU-2\n' } })
    expect(await store.get(held)).toMatchObject({ state: 'running', conditions: { stuck } })

    await killProcesses(inside(machine), survivor ? [survivor] : [])
    await expect.poll(() => store.get(held), PATIENT).toMatchObject({ state: 'cancelled', conditions: {} })
    expect((await store.history(held)).map(({ action }) => action)).toContain('stuck')
  } finally {
    await killProcesses(inside(machine), await findProcesses(inside(machine), sleep))
    await leading.close()
  }
})

it('P2 a timeout fires on the machine with the controller dead; the next one records it, with the time of the machine', async () => {
  const sleep = uniqueSeconds()
  const submit = {
    argv: ['sh', '-c', `setsid sleep ${sleep} & sleep ${sleep}`],
    options: { timeout: '500ms', grace: '100ms' },
  }
  const first = world.controller({ crash: 'after start', submit })
  expect(await first.ended).toBe('SIGKILL')
  await until(machine, `-s "$(echo ${home}/attempts/*.1/exit)"`)
  const over = Date.now()
  expect(await alive(sleep)).toEqual([])
  await world.here('lead', async (cluster, store) => {
    const [recorded] = (await store.list({ state: 'running' }, { limit: 10 })).jobs
    const job = await cluster.job(recorded?.id ?? 'none')
    expect(await job.wait({ signal: AbortSignal.timeout(40_000) })).toMatchObject({
      state: 'failed',
      reason: 'timeout',
      attempt: 1,
    })
    const [attempt] = await store.attempts(job.id)
    expect(attempt?.endedAt).toBeLessThanOrEqual(over)
    expect((attempt?.endedAt ?? 0) - (attempt?.startedAt ?? 0)).toBeGreaterThanOrEqual(500)
  })
})
