/**
 * P1, P2, P3 with the machine over SSH: `kill -9` of the controller at each step. The next controller adopts, the command ran exactly
 * once, and the record says what happened. Each step has a record of its own; they share the machine, and the time that leases take.
 */
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { actionsOf, configured, logOf, said, stateDirOf, until } from './ssh-world.js'
import { STEPS } from './steps.js'
import { World } from './world.js'

let machine: SshMachine

beforeAll(async () => {
  machine = await startSshMachine()
})
afterAll(() => machine?.remove())

describe.concurrent('over SSH', () => {
  it.for(STEPS)('P2 P3 killed %s: the next controller finishes it, and it ran once', async (crash, context) => {
    const world = await World.make('crash-ssh', (directory) => [configured('far', machine, directory)])
    context.onTestFinished(() => world.clear())
    const runs = `${stateDirOf(machine, world.directory)}.runs`
    const text = `echo run >>${runs}; echo a line; printf 42 >"$MUSTER_RESULT"`
    const controller = world.controller({ crash, submit: { argv: ['sh', '-c', text] } })
    expect({ crash, signal: await controller.ended }).toEqual({ crash, signal: 'SIGKILL' })
    await world.here('lead', async (cluster, store) => {
      const [recorded] = (await store.list({}, { limit: 10 })).jobs
      const job = await cluster.job(recorded?.id ?? 'none')
      expect((await job.result({ signal: AbortSignal.timeout(40_000) })).output).toBe('42')
      expect((await logOf(job)).toString()).toBe('a line\n')
      expect(await said(machine, `cat ${runs}`)).toBe('run\n')
      const actions = await actionsOf(job)
      expect(actions.filter((action) => action === 'start' || action === 'succeed')).toEqual(['start', 'succeed'])
      expect(await store.live()).toEqual([])
      // What a dead controller did not live to remove is found by the next one.
      await until(machine, `-z "$(ls ${stateDirOf(machine, world.directory)}/attempts)"`)
    })
  })
})

it('P5 nothing of the killed controllers, nor of their jobs, is left on the machine', async () => {
  const left = (): Promise<string> => said(machine, `pgrep -u ${machine.user} -a | grep -v ' sshd:' || :`)
  await expect.poll(left, { timeout: 20_000 }).toBe('')
})
