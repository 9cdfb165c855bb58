/**
 * Nothing is lost when the way to a machine is: P2 (the record is never a guess), P3 (one live attempt) and logs without a hole, on
 * machines over SSH behind a network that cuts, swallows and refuses. Timeouts pass ten times faster than usual: 45 s to notice a
 * dead peer, 15 s to connect, pauses up to 30 s.
 */
import type { JobHandle } from '@muster/cluster'
import { systemClock, type MachineAccess, type Worker } from '@muster/core'
import { tcpProxy, type TcpProxy } from '@muster/testing'
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { actionsOf, configured, hurried, logOf, said, stateDirOf, until } from './ssh-world.js'
import { script, testWorker, World } from './world.js'

const PATIENT = { timeout: 40_000 }
const TIME = { clock: hurried(10), storeClock: systemClock }
let near: SshMachine
let far: SshMachine
let way: TcpProxy
let world: World

beforeAll(async () => {
  ;[near, far] = await Promise.all([startSshMachine(), startSshMachine()])
})
afterAll(() => Promise.all([near?.remove(), far?.remove()]))
beforeEach(async () => {
  way = await tcpProxy(far)
  world = await World.make('lost-way', (directory) => [
    configured('near', near, directory),
    configured('far', far, directory, way),
  ])
})
afterEach(async () => {
  await way.close()
  await world.clear()
})

const ON_FAR = { machine: 'far', grace: '100ms' }
const silenceOf = async (job: JobHandle) => (await job.status()).conditions.unconfirmedSince

/** On the machine: waits for `go`, prints much and oddly, leaves a result, ends. */
const work = (home: string): string =>
  `echo run >>${home}.runs; echo before; until [ -e ${home}.go ]; do sleep 0.05; done
  i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; printf '\\000\\377no newline'; printf 42 >"$MUSTER_RESULT"`
const WRITTEN = Buffer.concat([
  Buffer.from(['before', ...Array.from({ length: 3_000 }, (_, i) => `line ${i}`), ''].join('\n')),
  Buffer.from([0, 255]),
  Buffer.from('no newline'),
])

const OUTAGES: Readonly<Record<string, { begin(): Promise<void>; end(): Promise<void> }>> = {
  'cut, and every new connection refused': {
    begin: async () => {
      await way.refuse(true)
      way.cut()
    },
    end: () => way.refuse(false),
  },
  'swallowed by a black hole': {
    begin: async () => way.blackHole(true),
    end: async () => way.blackHole(false),
  },
}

it.each(Object.keys(OUTAGES))(
  'P2 P3 6 the way %s while a job runs, prints and ends: the same attempt, its log byte for byte, followed live',
  async (what) => {
    const home = stateDirOf(far, world.directory)
    await world.here(
      'lead',
      async (cluster) => {
        const job = await cluster.submit(script(work(home)), ON_FAR)
        const live = logOf(job)
        await expect.poll(async () => (await logOf(job, false)).toString(), PATIENT).toBe('before\n')
        const before = way.accepted
        await OUTAGES[what]?.begin()
        await expect.poll(() => silenceOf(job), PATIENT).toBeGreaterThan(0)
        await said(far, `touch ${home}.go`)
        await until(far, `-s ${home}/attempts/${job.id}.1/exit`)
        // Longer than any timeout: who swallows has been given up for dead, and two tries to connect, too.
        if (what.includes('black')) await expect.poll(() => way.accepted, PATIENT).toBeGreaterThan(before + 2)
        expect(await job.status()).toMatchObject({ state: 'running', attempt: 1 })
        expect((await cluster.machines()).find(({ name }) => name === 'far')).toMatchObject({ state: 'unreachable' })
        await OUTAGES[what]?.end()
        const { output } = await job.result({ signal: AbortSignal.timeout(40_000) })
        expect({ output, runs: await said(far, `cat ${home}.runs`) }).toEqual({ output: '42', runs: 'run\n' })
        expect(await job.status()).toMatchObject({ state: 'completed', attempt: 1, conditions: {} })
        expect((await live).equals(WRITTEN)).toBe(true)
        expect((await logOf(job)).equals(WRITTEN)).toBe(true)
        const actions = await actionsOf(job)
        expect(actions.filter((action) => action !== 'note')).toEqual([
          ...['submit', 'ready', 'place', 'start', 'unconfirmed', 'confirmed', 'succeed', 'collected'],
        ])
      },
      TIME,
    )
  },
)

it('P2 P5 a wish to cancel that meets a silent machine is kept, shown, and carried out at the next contact', async () => {
  const home = stateDirOf(far, world.directory)
  await world.here(
    'lead',
    async (cluster) => {
      const job = await cluster.submit(script(`echo $$ >${home}.pid; echo up; exec sleep 600`), ON_FAR)
      await until(far, `-s ${home}.pid`)
      await expect.poll(async () => (await job.status()).state, PATIENT).toBe('running')
      await way.refuse(true)
      way.cut()
      await expect.poll(() => silenceOf(job), PATIENT).toBeGreaterThan(0)
      await job.cancel('seen enough')
      expect(await job.status()).toMatchObject({
        state: 'running',
        conditions: { cancelRequested: { reason: 'seen enough' } },
      })
      await said(far, `kill -0 $(cat ${home}.pid)`)
      await way.refuse(false)
      expect(await job.ended({ signal: AbortSignal.timeout(40_000) })).toMatchObject({ state: 'cancelled', attempt: 1 })
      await said(far, `! kill -0 $(cat ${home}.pid) 2>/dev/null`)
    },
    TIME,
  )
})

it('P3 onLost: replaced elsewhere after the declared silence; the first is killed at the next contact, its report and log are kept', async () => {
  const home = stateDirOf(far, world.directory)
  const text = `echo "attempt $MUSTER_ATTEMPT"; [ "$MUSTER_ATTEMPT" -gt 1 ] || { echo $$ >${home}.pid; exec sleep 600; }`
  await world.here(
    'lead',
    async (cluster, store) => {
      await cluster.drain('near')
      const job = await cluster.submit(script(text), { onLost: { replaceAfter: '300ms' }, grace: '100ms' })
      await until(far, `-s ${home}.pid`)
      await expect.poll(async () => (await job.status()).state, PATIENT).toBe('running')
      await way.refuse(true)
      way.cut()
      await cluster.resume('near')
      expect(await job.ended({ signal: AbortSignal.timeout(40_000) })).toMatchObject({ state: 'completed', attempt: 2 })
      const lost = { machine: 'far', outcome: 'machine-lost', notConfirmedGone: true }
      expect(await store.attempts(job.id)).toMatchObject([lost, { machine: 'near', outcome: 'succeeded' }])
      await said(far, `kill -0 $(cat ${home}.pid) || { cat ${home}/attempts/${job.id}.1/exit >&2; exit 1; }`)
      await expect(job.restart()).rejects.toMatchObject({ code: 'ATTEMPT_UNCONFIRMED', details: { attempt: 1 } })

      await way.refuse(false)
      await expect
        .poll(async () => (await store.attempts(job.id))[0], PATIENT)
        .toMatchObject({ notConfirmedGone: false, outcome: 'machine-lost' })
      await said(far, `! kill -0 $(cat ${home}.pid) 2>/dev/null`)
      const reports = (await store.history(job.id)).filter(({ action }) => action === 'report-refused')
      expect(reports).toMatchObject([{ attempt: 1, actor: 'machine:far', data: { report: 'cancelled' } }])
      expect((await logOf(job)).toString()).toBe('attempt 1\nattempt 2\n')
      expect(await job.status()).toMatchObject({ state: 'completed', attempt: 2, failures: 0 })
      await job.restart()
      expect(await job.wait()).toMatchObject({ state: 'completed', attempt: 3 })
    },
    TIME,
  )
})

it('P3 a job whose lost attempt may still run restarts only by force, and the record says so', async () => {
  const home = stateDirOf(far, world.directory)
  const text = `[ "$MUSTER_ATTEMPT" = 2 ] || { touch ${home}.up; until [ -e ${home}.go ]; do sleep 0.05; done; echo late; exit 7; }`
  await world.here(
    'lead',
    async (cluster, store) => {
      const job = await cluster.submit(script(text), { ...ON_FAR, onLost: { replaceAfter: '300ms' } })
      await until(far, `-e ${home}.up`)
      await expect.poll(async () => (await job.status()).state, PATIENT).toBe('running')
      await way.refuse(true)
      way.cut()
      await expect.poll(async () => (await job.status()).reason, PATIENT).toBe('machine-lost')
      await job.cancel('not needed')
      await expect(job.restart()).rejects.toMatchObject({ code: 'ATTEMPT_UNCONFIRMED' })
      await job.restart({ force: true, reason: 'two do no harm' })
      const restarts = (await store.history(job.id)).filter(({ action }) => action === 'restart')
      expect(restarts).toMatchObject([{ data: { forced: true, reason: 'two do no harm' } }])
      // The first ends by itself before anybody can kill it: what it says is kept and changes nothing.
      await said(far, `touch ${home}.go`)
      await until(far, `-s ${home}/attempts/${job.id}.1/exit`)
      await way.refuse(false)
      expect(await job.wait({ signal: AbortSignal.timeout(40_000) })).toMatchObject({ state: 'completed', attempt: 2 })
      const reports = async () => (await store.history(job.id)).filter(({ action }) => action === 'report-refused')
      await expect.poll(reports, PATIENT).toMatchObject([{ attempt: 1, data: { report: 'exit', exitCode: 7 } }])
      expect((await logOf(job)).toString()).toBe('late\n')
    },
    TIME,
  )
})

it.each(['prepare', 'collect'] as const)(
  'P2 the way lost while a worker has to %s is no end and no failure: the step is done again',
  async (step) => {
    let calls = 0
    /** The first time it cannot be done: there is no way to the machine, and there is one again when the worker says so. */
    const losing = async (machine: MachineAccess): Promise<string> => {
      if (calls++ > 0) return (await machine.run('echo there')).stdout.toString()
      await way.refuse(true)
      way.cut()
      await machine.run(':').catch(() => undefined)
      const error = await machine.run(':').then(
        () => new Error('nobody refused'),
        (thrown: unknown) => thrown,
      )
      await way.refuse(false)
      const answers = () =>
        machine.run(':').then(
          () => true,
          () => false,
        )
      await expect.poll(answers, PATIENT).toBe(true)
      throw error
    }
    const worker: Worker = {
      ...testWorker,
      prepare: async (job, machine, context) => {
        if (step === 'prepare') expect(await losing(machine)).toBe('there\n')
        return testWorker.prepare(job, machine, context)
      },
      collect: async (exit, machine, context) =>
        step === 'collect' ? losing(machine) : testWorker.collect(exit, machine, context),
    }
    await world.here(
      'lead',
      async (cluster) => {
        cluster.registerWorker('losing', worker)
        const input = { argv: ['sh', '-c', 'printf "there\n" >"$MUSTER_RESULT"'] }
        const job = await cluster.submit({ worker: 'losing', input }, ON_FAR)
        expect(await job.result({ signal: AbortSignal.timeout(40_000) })).toMatchObject({
          output: 'there\n',
          attempt: 1,
        })
        expect(await job.status()).toMatchObject({ state: 'completed', failures: 0, conditions: {} })
        expect(calls).toBe(2)
        const actions = await actionsOf(job)
        expect(actions.filter((action) => action === 'place' || action === 'retry')).toEqual(['place'])
      },
      TIME,
    )
  },
)

it('a controller that is closed while its machine is silent is closed, and leaves the job running', async () => {
  const home = stateDirOf(far, world.directory)
  const closed = await world.here(
    'lead',
    async (cluster) => {
      const job = await cluster.submit(script(`touch ${home}.up; until [ -e ${home}.go ]; do sleep 0.05; done`), ON_FAR)
      await until(far, `-e ${home}.up`)
      await expect.poll(async () => (await job.status()).state, PATIENT).toBe('running')
      way.blackHole(true)
      return job.id
    },
    // Nothing but close has to give up here: time is as usual.
    {},
  )
  way.blackHole(false)
  await said(far, `touch ${home}.go`)
  await world.here('lead', async (cluster) => {
    const job = await cluster.job(closed)
    expect(await job.wait({ signal: AbortSignal.timeout(40_000) })).toMatchObject({
      state: 'completed',
      reason: null,
      exitCode: 0,
      signal: null,
      attempt: 1,
    })
  })
})
