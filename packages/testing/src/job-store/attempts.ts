/** Items 5 and 15, and the life of an attempt: fences, retries, wishes, what is left behind. */
import type { AttemptRef } from '@muster/job-manager'
import { expect, test } from 'vitest'
import {
  freshLocation,
  freshStore,
  lead,
  newJob,
  openAt,
  placed,
  Process,
  refOf,
  running,
  SHORT,
  WHERE,
  type JobStoreFactory,
} from './kit.js'

const MACHINE = 'machine:gpu1'

/** Declares them. */
export function attemptsSection(factory: JobStoreFactory): void {
  test('5 a report under another token is stored and changes nothing; an old epoch is refused; a takeover keeps tokens', async () => {
    const store = await freshStore(factory)
    const candidacy = store.stand('one')
    const { epoch } = await candidacy.won()
    const ref = await running(store, epoch)
    const forged = { ...ref, token: '0'.repeat(32) }
    const report = store.finish(epoch, forged, { outcome: 'succeeded', exitCode: 0 }, MACHINE)
    await expect(report).rejects.toMatchObject({ code: 'ATTEMPT_SUPERSEDED' })
    expect(await store.get(ref.jobId)).toMatchObject({ state: 'running', attempt: 1 })
    expect((await store.history(ref.jobId)).at(-1)).toMatchObject({ action: 'report-refused', actor: MACHINE })

    await candidacy.close()
    const next = await lead(store)
    expect(next).toBe(epoch + 1)
    const stale = store.finish(epoch, ref, { outcome: 'succeeded', exitCode: 0 }, MACHINE)
    await expect(stale).rejects.toMatchObject({ code: 'SCHEDULER_SUPERSEDED' })
    const [adopted] = await store.live()
    expect(adopted && refOf(adopted)).toEqual(ref)
    const job = await store.finish(next, ref, { outcome: 'succeeded', exitCode: 0 }, MACHINE)
    expect(job.state).toBe('completed')
  })

  test('the retry rule decides what follows; one write may walk several edges', async () => {
    const store = await freshStore(factory, { random: () => 0.5 })
    const epoch = await lead(store)
    const ref = refOf(await placed(store, epoch, { retries: 1 }))
    const again = await store.finish(epoch, ref, { outcome: 'exit', exitCode: 7, startedAt: Date.now() }, MACHINE)
    expect(again).toMatchObject({ state: 'pending', failures: 1, reason: 'exit', exitCode: 7 })
    expect((again.runAt ?? 0) - again.updatedAt).toBe(5_000)
    expect((await store.history(ref.jobId)).map(({ action }) => action)).toEqual([
      'submit',
      'ready',
      'place',
      'start',
      'retry',
    ])
    expect(await store.promoteDue(epoch, 10)).toEqual({ ready: [], nextDueAt: again.runAt })
    await expect(store.place(epoch, ref.jobId, WHERE)).rejects.toMatchObject({ code: 'JOB_STATE_CONFLICT' })
  })

  test('a job that was placed three times without a start, each time by a leader that died, fails instead of killing the next', async () => {
    const store = await freshStore(factory)
    const { job } = await store.insert(newJob())
    for (const attempt of [1, 2, 3]) {
      const dying = store.stand(`leader ${attempt}`)
      await store.place((await dying.won()).epoch, job.id, WHERE)
      await dying.close()
      const adopter = store.stand('adopter')
      const { epoch } = await adopter.won()
      const [found] = await store.live({ jobId: job.id })
      if (found) await store.release(epoch, refOf(found), 'never sent', 'leader:adopter')
      await adopter.close()
    }
    expect(await store.get(job.id)).toMatchObject({ state: 'failed', reason: 'launch-failed', attempt: 3 })
    const clean = await store.insert(newJob())
    const epoch = await lead(store)
    for (let times = 0; times < 5; times += 1)
      await store.release(
        epoch,
        refOf(await store.place(epoch, clean.job.id, WHERE)),
        'changed my mind',
        'leader:suite',
      )
    expect(await store.get(clean.job.id)).toMatchObject({ state: 'queued', attempt: 5, failures: 0 })
  })

  test('15 cancel of what waits and restart need no leader; a wish is one, suppresses retries, and loses to the own end', async () => {
    const store = await freshStore(factory)
    const { job } = await store.insert(newJob())
    expect(await store.cancel(job.id, 'user:ada', 'typo')).toMatchObject({ outcome: 'cancelled' })
    expect(await store.cancel(job.id, 'user:ada', 'typo')).toMatchObject({
      outcome: 'ended',
      job: { state: 'cancelled' },
    })
    expect(await store.restart(job.id, 'user:ada')).toMatchObject({ state: 'queued', failures: 0, endedAt: null })

    const epoch = await lead(store)
    const [stopped, raced, finished] = [
      await running(store, epoch, { retries: 5 }),
      await running(store, epoch, { retries: 5 }),
      await running(store, epoch),
    ]
    for (const { jobId } of [stopped, raced, finished]) {
      expect(await store.cancel(jobId, 'user:ada', 'enough')).toMatchObject({ outcome: 'requested' })
      expect(await store.cancel(jobId, 'user:bob', 'me too')).toMatchObject({ outcome: 'requested' })
    }
    expect((await store.wishes()).map(({ jobId, by }) => ({ jobId, by }))).toEqual(
      [stopped, raced, finished].map(({ jobId }) => ({ jobId, by: 'user:ada' })),
    )
    const cancelled = await store.finish(epoch, stopped, { outcome: 'cancelled', signal: 'TERM' }, MACHINE)
    expect(cancelled).toMatchObject({ state: 'cancelled', reason: 'cancelled', conditions: {} })
    const failed = await store.finish(epoch, raced, { outcome: 'exit', exitCode: 1 }, MACHINE)
    expect(failed).toMatchObject({
      state: 'failed',
      reason: 'exit',
      conditions: { cancelRequested: { by: 'user:ada' } },
    })
    const completed = await store.finish(epoch, finished, { outcome: 'succeeded', exitCode: 0 }, MACHINE)
    expect(completed).toMatchObject({ state: 'completed' })
    expect((await store.history(finished.jobId)).filter(({ action }) => action === 'cancel-requested')).toHaveLength(1)
    expect(await store.wishes()).toEqual([])
  })

  test('15 a wish ends as cancelled what was only to be repeated, as failed what is not confirmed gone', async () => {
    const store = await freshStore(factory)
    const epoch = await lead(store)
    const wished = async (): Promise<AttemptRef> => {
      const ref = await running(store, epoch)
      await store.cancel(ref.jobId, 'user:ada', 'enough')
      return ref
    }
    const lost = await wished()
    const end = { outcome: 'machine-lost', detail: { text: 'the machine was rebooted' } } as const
    expect(await store.finish(epoch, lost, end, MACHINE)).toMatchObject({
      state: 'cancelled',
      reason: 'cancelled',
      conditions: {},
    })
    const last = (await store.history(lost.jobId)).at(-1)
    expect(last).toMatchObject({ action: 'cancel', data: { reason: 'machine-lost', text: 'the machine was rebooted' } })
    expect(last?.sentence).toBe('cancelled: machine-lost (the machine was rebooted)')
    for (const outcome of ['preempted', 'launch-failed'] as const) {
      const ref = await wished()
      expect(await store.finish(epoch, ref, { outcome }, MACHINE)).toMatchObject({ state: 'cancelled', conditions: {} })
      expect((await store.history(ref.jobId)).at(-1)).toMatchObject({ action: 'cancel', data: { reason: outcome } })
    }
    const givenUp = await wished()
    expect(await store.finish(epoch, givenUp, { ...end, notConfirmedGone: true }, MACHINE)).toMatchObject({
      state: 'failed',
      reason: 'machine-lost',
      conditions: { cancelRequested: { by: 'user:ada' } },
    })
    expect(await store.wishes()).toEqual([])
  })

  test('15 a wish survives a kill of whoever wrote it and of the leader', async () => {
    const location = await freshLocation(factory)
    const store = await openAt(factory, location)
    const first = store.stand('first')
    const { epoch } = await first.won()
    const ref = await running(store, epoch)
    await first.close()
    const shared = { module: factory.module, location, lease: SHORT }
    const leader = new Process({ ...shared, task: 'lead' })
    await leader.line('won')
    const author = new Process({ ...shared, task: 'wish', job: ref.jobId })
    await author.line('wished requested')
    await Promise.all([author.kill(), leader.kill()])
    const next = await lead(store)
    const [wish, ...others] = await store.wishes()
    expect({ wish, others }).toMatchObject({ wish: { jobId: ref.jobId, reason: 'enough' }, others: [] })
    await store.finish(next, ref, { outcome: 'cancelled' }, MACHINE)
    expect(await store.wishes()).toEqual([])
  })

  test('conditions lie beside the state; only a change is an event', async () => {
    const store = await freshStore(factory)
    const epoch = await lead(store)
    const ref = await running(store, epoch)
    const set = (patch: Parameters<typeof store.setConditions>[2]) =>
      store.setConditions(epoch, ref, patch, 'leader:suite')
    expect((await set({ unconfirmedSince: 5 })).conditions).toEqual({ unconfirmedSince: 5 })
    await set({ unconfirmedSince: 5 })
    await set({ unconfirmedSince: null, stuck: { pids: [7], gpus: ['GPU-1'] } })
    expect((await store.get(ref.jobId))?.conditions).toEqual({ stuck: { pids: [7], gpus: ['GPU-1'] } })
    await store.setProgress(epoch, ref, { fraction: 0.5, message: 'half' })
    expect(await store.get(ref.jobId)).toMatchObject({ state: 'running', progress: { fraction: 0.5, message: 'half' } })
    const actions = (await store.history(ref.jobId)).map(({ action }) => action)
    expect(actions.slice(4)).toEqual(['unconfirmed', 'confirmed', 'stuck'])
  })

  test('what may still exist on a machine is live: open attempts, uncollected ones, those not confirmed gone', async () => {
    const store = await freshStore(factory)
    const epoch = await lead(store)
    const [open, uncollected, lost] = [
      await running(store, epoch),
      await running(store, epoch),
      await running(store, epoch, { onLost: { replaceAfter: '1m' } }),
    ]
    await store.finish(epoch, uncollected, { outcome: 'succeeded', exitCode: 0, collecting: true }, MACHINE)
    const end = { outcome: 'machine-lost', notConfirmedGone: true } as const
    expect(await store.finish(epoch, lost, end, 'leader:suite')).toMatchObject({ state: 'pending', failures: 0 })
    expect((await store.live()).map(refOf)).toEqual([open, uncollected, lost])
    expect((await store.live({ machine: 'gpu2' })).length).toBe(0)

    await store.cancel(lost.jobId, 'user:ada', '')
    await expect(store.restart(lost.jobId, 'user:ada')).rejects.toMatchObject({ code: 'ATTEMPT_UNCONFIRMED' })
    await store.restart(lost.jobId, 'user:ada', { force: true, reason: 'the machine burned' })
    await store.confirmGone(epoch, lost, MACHINE, { report: 'exit', exitCode: 3 })
    const report = { action: 'report-refused', attempt: 1, actor: MACHINE, data: { report: 'exit', exitCode: 3 } }
    expect((await store.history(lost.jobId)).slice(-2)).toMatchObject([report, { action: 'confirmed' }])
    expect(await store.get(lost.jobId)).toMatchObject({ state: 'queued' })
    const files = { host: 'desk', directory: '/files/1' }
    const collected = await store.collected(epoch, uncollected, files, 'leader:suite')
    expect(collected.conditions).toEqual({})
    expect(await store.attempts(uncollected.jobId)).toMatchObject([
      { files, outcome: 'succeeded', notConfirmedGone: false },
    ])
    expect((await store.live()).map(refOf)).toEqual([open])
  })

  test('the waiting set comes by priority, then age, without the shapes that were excluded', async () => {
    const store = await freshStore(factory)
    const insert = async (options: Parameters<typeof newJob>[0]) => (await store.insert(newJob(options))).job.id
    const [low, first, second, big] = [
      await insert({ priority: 1 }),
      await insert({ priority: 5 }),
      await insert({ priority: 5 }),
      await insert({ priority: 9, gpus: 8 }),
    ].map(String)
    await store.insert({ ...newJob(), external: true })
    const all = await store.waiting({ limit: 10 })
    expect(all.map(({ id }) => id)).toEqual([big, first, second, low])
    expect(all[0]).toMatchObject({ resources: { gpus: 8 }, priority: 9, attempt: 0, queue: 'jobs.command' })
    const rest = await store.waiting({ limit: 10, excludeShapes: [all[0]?.shape ?? ''] })
    expect(rest.map(({ id }) => id)).toEqual([first, second, low])
    expect((await store.waiting({ limit: 1 })).map(({ id }) => id)).toEqual([big])
  })

  test('what a person freed stays free although the leader still lists it', async () => {
    const store = await freshStore(factory)
    const epoch = await lead(store)
    const quarantined = {
      'GPU-1': { reason: 'stuck', jobId: null, bootId: 'b' },
      'GPU-2': { reason: 'stuck', jobId: null, bootId: 'b' },
    }
    const machine = {
      name: 'gpu1',
      state: 'ready',
      reason: null,
      probe: { cpus: 8 },
      quarantined,
      trouble: null,
    } as const
    await store.saveMachine(epoch, machine)
    expect(await store.freeGpus('gpu1', 'GPU-1', 'user:ada')).toEqual(['GPU-1'])
    await store.saveMachine(epoch, machine)
    expect(Object.keys((await store.machines())[0]?.quarantined ?? {})).toEqual(['GPU-2'])
    expect(await store.freeGpus('gpu1', undefined, 'user:ada')).toEqual(['GPU-2'])
    expect(await store.freeGpus('nowhere', undefined, 'user:ada')).toEqual([])
  })
}
