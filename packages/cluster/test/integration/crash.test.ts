/**
 * P1, P2, P3: `kill -9` of the controller at each step of submit, place, launch, run and finish. Whatever the step, the next
 * controller adopts, the command ran exactly once, and the record says what happened.
 */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { STEPS } from './steps.js'
import { World } from './world.js'

let world: World
let directory: string

beforeEach(async () => {
  world = await World.make('crash')
  directory = world.directory
})
afterEach(() => world.clear())

/** Runs a controller until it kills itself. */
async function crashing(crash: string, text: string): Promise<void> {
  const controller = world.controller({ crash, submit: { argv: ['sh', '-c', text] } })
  expect({ crash, signal: await controller.ended }).toEqual({ crash, signal: 'SIGKILL' })
}

const runs = async (): Promise<number> =>
  (await readFile(join(directory, 'runs'), 'utf8').catch(() => '')).split('\n').length - 1

it('P1 before the insert nothing is recorded and nothing runs', async () => {
  await crashing('before insert', `echo run >> ${directory}/runs`)
  await world.here('lead', async (_, store) => expect((await store.list({}, { limit: 10 })).jobs).toEqual([]))
  expect(await runs()).toBe(0)
})

it.each(STEPS)('P2 P3 killed %s: the next controller finishes it, and it ran once', async (crash) => {
  await crashing(crash, `sleep 0.3; echo run >> ${directory}/runs; echo a line; printf 42 > "$MUSTER_RESULT"`)
  await world.here('lead', async (cluster, store) => {
    const [recorded] = (await store.list({}, { limit: 10 })).jobs
    const job = await cluster.job(recorded?.id ?? 'none')
    const { output } = await job.result({ signal: AbortSignal.timeout(20_000) })
    const lines: string[] = []
    for await (const line of job.logs()) lines.push(line.text)
    expect({ output, lines, runs: await runs() }).toEqual({ output: '42', lines: ['a line'], runs: 1 })
    const actions = (await store.history(job.id)).map(({ action }) => action)
    expect(actions.filter((action) => action === 'start' || action === 'succeed')).toEqual(['start', 'succeed'])
    expect(await store.live()).toEqual([])
  })
})

it('P2 killed while the command runs: the next one follows the same attempt', async () => {
  const script = `echo run >> ${directory}/runs; echo one; while [ ! -e ${directory}/go ]; do sleep 0.05; done; echo two`
  await crashing('after start', script)
  await world.here('lead', async (cluster, store) => {
    const [recorded] = (await store.list({ state: 'running' }, { limit: 10 })).jobs
    const job = await cluster.job(recorded?.id ?? 'none')
    const lines: string[] = []
    for await (const { text } of job.logs()) {
      lines.push(text)
      if (text === 'one') spawn('touch', [join(directory, 'go')])
    }
    expect(lines).toEqual(['one', 'two'])
    expect(await job.status()).toMatchObject({ state: 'completed', attempt: 1 })
    expect(await runs()).toBe(1)
  })
})
