/** 1, 8, 11: what a start does once, however often it is interrupted; who may start; what a machine tells a new leader. */
import type { AttemptKey } from '@muster/cluster'
import { systemIds } from '@muster/core'
import { expect, test } from 'vitest'
import { bench, completed, ended, home, logText, look, newKey, RECORD, request, type LauncherFactory } from './kit.js'

const GPU = 'GPU-11111111-2222-3333-4444-555555555555'
const LANES = 3
/** As long as all that are given out: a shorter one would be the beginning of some. */
const MARK = '123456789012345'
/** Of a process that belongs to no key. */
const STRANGER = '987654321098765'
const OTHER = 'GPU-99999999-2222-3333-4444-555555555555'

/** Declares the tests. */
export function startSection(factory: LauncherFactory): void {
  test('1 starting twice, and ten times at once, is starting once', async () => {
    const at = await bench(factory)
    const what = request('echo run >>"$MUSTER_KEEP/runs"; sleep 0.1')
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => at.launcher.start(what)))
    const { exit, startedAt, tree } = await ended(at, what.key)
    expect(exit.outcome).toBe('succeeded')
    // Every start says what inspect says.
    expect(outcomes).toEqual(outcomes.map(() => ({ started: true, startedAt, tree })))
    expect(await at.launcher.start(what)).toEqual({ started: true, startedAt, tree })
    expect(await runs(at, what.key)).toBe(1)
  })

  test('1 P3 the controller is killed at any moment of a start: one run', async () => {
    const at = await bench(factory)
    await at.launcher.list(RECORD)
    const moments = Array.from({ length: 16 }, (_, n) => 3 * n)
    // Each lane has a job, a controller and a moment of its own; most of a turn is the start of that controller.
    const lane = async (): Promise<void> => {
      for (let afterMs = moments.shift(); afterMs !== undefined; afterMs = moments.shift()) {
        const what = request('echo run >>"$MUSTER_KEEP/runs"')
        await factory.startAndDie(at.stateDir, what, afterMs)
        expect((await completed(at, what)).exit.outcome, `killed after ${afterMs} ms`).toBe('succeeded')
        expect(await runs(at, what.key), `killed after ${afterMs} ms`).toBe(1)
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane))
  })

  test('1 a start whose text is cut off between any two bytes does nothing or all', async () => {
    const at = await bench(factory)
    const what = request('echo run >>"$MUSTER_KEEP/runs"')
    const directory = home(at, what.key)
    // Every state that a killed start can leave behind, made by hand: nothing, a directory, half a key, a key, half a claim.
    const halves = [
      '',
      `mkdir ${directory}`,
      `mkdir -p ${directory}/work; printf '%s %s %s end\\n' ${RECORD} ${what.key.token} ${MARK} >${directory}/key`,
      `printf 'half' >${directory}/key; printf '999999 1 x 1 1 marker end\\n' >${directory}/id.999999`,
    ]
    for (const half of halves) {
      await at.transport.run(`${half}\n`)
      expect((await look(at, what.key)).status).toBe('absent')
    }
    expect((await completed(at, what)).exit.outcome).toBe('succeeded')
    expect(await runs(at, what.key)).toBe(1)
  })

  test('1 a claim that was taken and never written down is gone, not running', async () => {
    const at = await bench(factory)
    const what = request('true')
    await at.launcher.list(RECORD)
    const directory = home(at, what.key)
    await at.transport.run(`mkdir -p ${directory}; : >${directory}/claim`)
    await at.transport.run(`MUSTER_MARK=${STRANGER} sleep 20 </dev/null >/dev/null 2>&1 &`)
    // Whoever bears another mark is none of its processes, also where this one is the beginning of that.
    for (const mark of [MARK, STRANGER.slice(0, 1)]) {
      await at.transport.run(`printf '%s %s %s end\\n' ${RECORD} ${what.key.token} ${mark} >${directory}/key`)
      expect(await look(at, what.key)).toMatchObject({ status: 'gone', survivors: [] })
    }
  })

  test('1 stop of an attempt that never started makes a late start find it taken', async () => {
    const at = await bench(factory)
    const what = request('echo run >>"$MUSTER_KEEP/runs"')
    expect(await at.launcher.stop(what.key, { graceMs: 100, reason: 'cancelled' })).toEqual({ left: 'nothing' })
    expect(await at.launcher.start(what)).toEqual({ started: false, reason: 'stopped' })
    expect(await look(at, what.key)).toMatchObject({ status: 'exited', exit: { outcome: 'never-started' } })
    expect(await runs(at, what.key)).toBe(0)
  })

  test('1 start and stop at the same moment agree on what happened', async () => {
    const at = await bench(factory)
    for (let n = 0; n < 8; n += 1) {
      const what = request('sleep 600')
      const stop = at.launcher.stop(what.key, { graceMs: 200, reason: 'cancelled' })
      const [started, stopped] = await Promise.all([at.launcher.start(what), stop])
      const { exit } = await ended(at, what.key)
      expect(stopped).toEqual({ left: 'nothing' })
      expect(exit.outcome).toBe(started.started ? 'cancelled' : 'never-started')
    }
  })

  test('P3 another token is foreign to every operation', async () => {
    const at = await bench(factory)
    const what = request('true')
    await completed(at, what)
    const other: AttemptKey = { ...what.key, token: systemIds.token() }
    expect(await look(at, other)).toEqual({ key: other, status: 'foreign' })
    await expect(at.launcher.start({ ...what, key: other })).rejects.toMatchObject({ code: 'LAUNCH_FAILED' })
    await expect(at.launcher.stop(other, { graceMs: 1, reason: 'cancelled' })).rejects.toMatchObject({
      code: 'ATTEMPT_SUPERSEDED',
    })
    await expect(at.launcher.logs(other, { offset: 0, maxBytes: 10 })).rejects.toMatchObject({
      code: 'ATTEMPT_SUPERSEDED',
    })
    await expect(at.launcher.remove([other])).rejects.toMatchObject({ code: 'ATTEMPT_RUNNING' })
    expect((await look(at, what.key)).status).toBe('exited')
  })

  test('8 a new controller is told of everything of its record; what cannot be read is shown and kept', async () => {
    const at = await bench(factory)
    const mine = [request('sleep 600'), request('true')]
    for (const what of mine) await at.launcher.start(what)
    await at.launcher.start(request('true', { recordId: 'record-2' }))
    await at.transport.run(
      `mkdir ${at.stateDir}/attempts/unknown; ln -s /etc ${at.stateDir}/attempts/${newKey().jobId}.1`,
    )
    const second = await bench(factory, { stateDir: at.stateDir })
    const listed = await second.launcher.list(RECORD)
    const readable = listed.filter(({ ok }) => ok).map(({ key }) => key)
    expect(readable).toHaveLength(2)
    expect(readable).toEqual(expect.arrayContaining(mine.map(({ key }) => key)))
    expect(listed.filter(({ ok }) => !ok)).toHaveLength(2)
    expect((await second.launcher.inspect(mine.map(({ key }) => key)))[0]?.status).toBe('running')
  })

  test('8 a start by an older leader is refused once a newer one has listed, and leaves nothing behind', async () => {
    const at = await bench(factory)
    await at.launcher.list(RECORD, 5)
    await at.launcher.list(RECORD, 4)
    const late = request('true', { epoch: 4 })
    await expect(at.launcher.start(late)).rejects.toMatchObject({ code: 'SCHEDULER_SUPERSEDED' })
    // The newer one has looked here and may not look again.
    const { stdout } = await at.transport.run(`find ${at.stateDir} -name '${late.key.jobId}*'`)
    expect(stdout.toString()).toBe('')
    expect((await completed(at, request('true', { epoch: 5 }))).exit.outcome).toBe('succeeded')
  })

  test('8 what a late start finds on the machine stays as it is', async () => {
    const at = await bench(factory)
    const runs = request('sleep 600', { epoch: 5 })
    await at.launcher.start(runs)
    const closed = request('true', { epoch: 4 })
    await at.launcher.stop(closed.key, { graceMs: 100, reason: 'cancelled' })
    await at.launcher.list(RECORD, 5)
    for (const { key } of [runs, closed])
      await at.launcher.start(request('true', { key, epoch: 4 })).catch(() => undefined)
    expect((await look(at, runs.key)).status).toBe('running')
    expect(await look(at, closed.key)).toMatchObject({ status: 'exited', exit: { outcome: 'never-started' } })
  })

  test('11 two records never run on one GPU; when the first has ended the second may', async () => {
    const at = await bench(factory)
    const first = request('sleep 600', { gpus: [GPU, OTHER] })
    await at.launcher.start(first)
    const second = request('echo "$CUDA_VISIBLE_DEVICES"', { gpus: [GPU], recordId: 'record-2' })
    expect(await at.launcher.start(second)).toEqual({ started: false, reason: 'gpu-taken', gpus: [GPU] })
    await at.launcher.stop(first.key, { graceMs: 100, reason: 'cancelled' })
    const third = request('echo "$CUDA_VISIBLE_DEVICES"', { gpus: [GPU], recordId: 'record-2' })
    await completed(at, third)
    expect(await logText(at, third.key)).toBe(`${GPU}\n`)
    const none = request('echo "<$CUDA_VISIBLE_DEVICES>"')
    await completed(at, none)
    expect(await logText(at, none.key)).toBe('<>\n')
  })

  test('11 a GPU that a stranger uses is named; fields that the driver does not know are null', async () => {
    const tools = `/tmp/muster-test-${systemIds.token().slice(0, 12)}`
    const at = await bench(factory, { pathFirst: tools })
    const smi = `#!/bin/sh
case $1 in
--query-gpu=*) echo '${GPU}, NVIDIA H100 80GB HBM3, 81559, 512'; echo '${OTHER}, NVIDIA GB10, [N/A], [Not Supported]' ;;
--query-compute-apps=*) echo "${GPU}, $PPID" ;;
esac`
    await at.transport.put(`${tools}/nvidia-smi`, smi, { mode: 0o700 })
    try {
      const { gpus } = await at.launcher.probe()
      expect(gpus).toEqual([
        {
          uuid: GPU,
          model: 'NVIDIA H100 80GB HBM3',
          memoryBytes: 81559 * 2 ** 20,
          usedBytes: 2 ** 29,
          strangers: [expect.any(Number)],
        },
        { uuid: OTHER, model: 'NVIDIA GB10', memoryBytes: null, usedBytes: null, strangers: [] },
      ])
    } finally {
      await at.transport.run(`rm -rf ${tools}`)
    }
  })
}

async function runs(at: Awaited<ReturnType<typeof bench>>, { jobId }: AttemptKey): Promise<number> {
  const { stdout } = await at.transport.run(`cat ${at.stateDir}/keep/${jobId}/runs 2>/dev/null | wc -l`)
  return Number(stdout.toString())
}
