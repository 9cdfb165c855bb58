/** 4, 5: ending a tree, whatever its processes do to get away, and nothing but that tree. */
import { performance } from 'node:perf_hooks'
import { expect, test } from 'vitest'
import {
  bench,
  completed,
  ended,
  home,
  logged,
  look,
  processes,
  request,
  uniqueSleep,
  type LauncherFactory,
} from './kit.js'

/** How a child gets away from whoever started it; `S` is the number of seconds that it sleeps for. */
const ESCAPES: Readonly<Record<string, string>> = {
  'a plain child': 'sleep S &',
  'one that ignores TERM': '(trap "" TERM; sleep S; sleep S) &',
  'one in a session of its own': 'setsid sleep S &',
  'a double fork': '( setsid sh -c "sleep S & sleep 0.05" & )',
  'one that closed its descriptors': '( setsid sh -c "sleep S <&- >&- 2>&- &" & )',
  'one with an empty environment': '( setsid env -i sleep S <&- >&- 2>&- & )',
  'one that left for /': '( cd / && setsid env -i /bin/sleep S <&- >&- 2>&- & )',
}
const GRACE_MS = 250

/** Declares the tests. */
export function stopSection(factory: LauncherFactory): void {
  test('4 P5 stop ends the whole tree within grace + 1 s, whoever tries to get away', async () => {
    const at = await bench(factory)
    for (const [what, escape] of Object.entries(ESCAPES)) {
      const sleep = uniqueSleep()
      const job = request(`${escape.replaceAll('S', sleep)}\ntrap '' TERM; echo up; while :; do sleep ${sleep}; done`)
      await at.launcher.start(job)
      await logged(at, job.key, 'up')
      const began = performance.now()
      expect(await at.launcher.stop(job.key, { graceMs: GRACE_MS, reason: 'cancelled' }), what).toEqual({
        left: 'nothing',
      })
      expect(performance.now() - began, what).toBeLessThan(10_000)
      expect(await processes(at, sleep), what).toBe(0)
      expect(await ended(at, job.key), what).toMatchObject({ exit: { outcome: 'cancelled', stuck: [] } })
    }
  })

  test('4 an attempt that is asked to stop again and again, in the middle of stopping, ends as soon as one that was asked once', async () => {
    const at = await bench(factory)
    const job = request(`trap '' TERM; echo up; while :; do sleep 600; done`)
    await at.launcher.start(job)
    await logged(at, job.key, 'up')
    const stopped = at.launcher.stop(job.key, { graceMs: GRACE_MS, reason: 'cancelled' })
    const { stdout } = await at.transport.run(
      `cd ${home(at, job.key)}; until [ -e stop ]; do sleep 0.01; done; read -r pid x <claim
       n=0; while kill -TERM $pid && [ $n -lt 1000 ]; do n=$((n + 1)); sleep 0.02; done 2>/dev/null; echo $n`,
    )
    expect(await stopped).toEqual({ left: 'nothing' })
    // So often it had to be asked: 20 s of it are for ever.
    expect(Number(stdout.toString())).toBeLessThan(1_000)
  })

  test('4 what a command leaves behind is ended with it, and its own end stands', async () => {
    const at = await bench(factory)
    for (const [what, escape] of Object.entries(ESCAPES)) {
      const sleep = uniqueSleep()
      const job = request(`${escape.replaceAll('S', sleep)}\nsleep 0.1; exit 4`, { graceMs: GRACE_MS })
      expect((await completed(at, job)).exit, what).toMatchObject({ outcome: 'exit', exitCode: 4, stuck: [] })
      expect(await processes(at, sleep), what).toBe(0)
    }
  })

  test('4 every attempt declares the rung on which its tree is found', async () => {
    const at = await bench(factory)
    const { tree } = await completed(at, request('true'))
    expect(tree).toBe((await at.launcher.probe()).tree)
  })

  test('4 a command that ends itself on TERM keeps its exit code; one that ended before keeps its end', async () => {
    const at = await bench(factory)
    const polite = request(`trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done`)
    await at.launcher.start(polite)
    await logged(at, polite.key, 'up')
    await at.launcher.stop(polite.key, { graceMs: 5_000, reason: 'cancelled' })
    expect((await ended(at, polite.key)).exit).toMatchObject({ outcome: 'cancelled', exitCode: 9 })
    const over = request('exit 0')
    await completed(at, over)
    expect(await at.launcher.stop(over.key, { graceMs: 100, reason: 'cancelled' })).toEqual({ left: 'nothing' })
    expect((await ended(at, over.key)).exit.outcome).toBe('succeeded')
  })

  test('4 a job that kills its process group kills itself and not its supervisor', async () => {
    const at = await bench(factory)
    expect((await completed(at, request('kill -TERM 0'))).exit).toMatchObject({ outcome: 'signal', signal: 'SIGTERM' })
    expect((await completed(at, request('kill -KILL 0'))).exit).toMatchObject({ outcome: 'signal', signal: 'SIGKILL' })
  })

  test('4 the timeout works on the machine, with nobody watching, and takes the whole tree', async () => {
    const at = await bench(factory)
    const sleep = uniqueSleep()
    const job = request(`setsid sleep ${sleep} & trap '' TERM; while :; do sleep ${sleep}; done`, { timeoutMs: 200 })
    await at.launcher.start(job)
    await expect.poll(() => processes(at, sleep), { timeout: 10_000 }).toBeGreaterThan(0)
    await expect.poll(() => processes(at, sleep), { timeout: 10_000 }).toBe(0)
    expect((await ended(at, job.key)).exit.outcome).toBe('timeout')
  })

  test('5 stop of one attempt never touches its neighbours, of the same job or another', async () => {
    const at = await bench(factory)
    const jobs = Array.from({ length: 4 }, () => request('echo up; sleep 600'))
    const [first] = jobs
    if (!first) throw new Error('unreachable')
    const next = { ...first, key: { ...first.key, attempt: 2, token: `${first.key.token}2` } }
    for (const job of [...jobs, next]) await at.launcher.start(job)
    for (const job of [...jobs, next]) await logged(at, job.key, 'up')
    await at.launcher.stop(first.key, { graceMs: 100, reason: 'cancelled' })
    for (const job of [...jobs.slice(1), next]) expect((await look(at, job.key)).status).toBe('running')
  })
}
