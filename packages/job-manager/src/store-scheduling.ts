/** The part of the record that its leader writes: every change carries the epoch, and those of an attempt its token. */
import { isMusterError, type ConditionPatch, type EventData, type Ids } from '@muster/core'
import { drainOf, jobRecord, liveAttempt, machineRecord, wishRecord } from './records.js'
import type { SqlDriver } from './sql/driver.js'
import { uuid } from './sql/rows.js'
import { known } from './store-jobs.js'
import type { JobStore } from './store.js'
import type * as t from './types.js'
import { queuePauses } from './queue-pauses.js'
import { readLive, readWaiting } from './waiting.js'

type Scheduling = Pick<
  JobStore,
  | 'waiting'
  | 'promoteDue'
  | 'place'
  | 'release'
  | 'start'
  | 'finish'
  | 'setConditions'
  | 'setProgress'
  | 'collected'
  | 'confirmGone'
  | 'live'
  | 'wishes'
  | 'machines'
  | 'saveMachine'
  | 'freeGpus'
  | 'drain'
  | 'resume'
  | 'drains'
  | 'setQueuePaused'
  | 'pausedQueues'
  | 'queueHistory'
>

/** The members of JobStore for a scheduler. `superseded` is told when a write finds its epoch refused. */
export function scheduling(
  driver: SqlDriver,
  tools: { readonly ids: Ids; readonly random: () => number; readonly superseded: (epoch: number) => void },
): Scheduling {
  const { ids, random, superseded } = tools
  /** A refused epoch ends the leadership that believed in it, at once. */
  const fenced = async <T>(epoch: number, work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      if (isMusterError(error, 'SCHEDULER_SUPERSEDED')) superseded(epoch)
      throw error
    }
  }
  return {
    waiting(options: { limit: number; excludeShapes?: readonly string[] }): Promise<readonly t.WaitingJob[]> {
      return readWaiting(driver, options)
    },

    async promoteDue(
      epoch: number,
      limit: number,
    ): Promise<{ ready: readonly { id: string; queue: string }[]; nextDueAt: number | null }> {
      const [next, ...flat] = await fenced(epoch, driver.transaction('promoteDue', epoch, limit))
      const ready = flat.flatMap((id, index) =>
        index % 2 === 0 ? [{ id: uuid(String(id)), queue: String(flat[index + 1]) }] : [],
      )
      return { ready, nextDueAt: typeof next === 'number' ? next : null }
    },

    async place(
      epoch: number,
      jobId: string,
      where: { machine: string; gpus: readonly string[]; actor: string },
    ): Promise<t.LiveAttempt> {
      const { machine, gpus, actor } = where
      const token = ids.token()
      const given = gpus.length > 0 ? JSON.stringify(gpus) : null
      return liveAttempt(await fenced(epoch, driver.transaction('place', epoch, jobId, machine, given, token, actor)))
    },

    async release(epoch: number, ref: t.AttemptRef, reason: string, actor: string): Promise<t.JobRecord> {
      const { jobId, attempt, token } = ref
      const released = driver.transaction('release', epoch, jobId, attempt, token, reason, actor)
      return jobRecord(await fenced(epoch, released))
    },

    async start(
      epoch: number,
      ref: t.AttemptRef,
      facts: { startedAt?: number; skewMs?: number; tree: string; actor: string },
    ): Promise<t.JobRecord> {
      const { jobId, attempt, token } = ref
      const { startedAt = null, skewMs = null, tree, actor } = facts
      const started = driver.transaction('start', epoch, jobId, attempt, token, tree, startedAt, skewMs, actor)
      return jobRecord(await fenced(epoch, started))
    },

    async finish(epoch: number, ref: t.AttemptRef, end: t.AttemptEnd, actor: string): Promise<t.JobRecord> {
      const finished = driver.transaction(
        'finish',
        epoch,
        ref.jobId,
        ref.attempt,
        ref.token,
        end.outcome,
        end.exitCode ?? null,
        end.signal ?? null,
        json(end.result),
        json(end.detail),
        end.startedAt ?? null,
        end.endedAt ?? null,
        end.skewMs ?? null,
        end.tree ?? null,
        end.collecting ? 1 : 0,
        end.notConfirmedGone ? 1 : 0,
        actor,
        random(),
      )
      return jobRecord(await fenced(epoch, finished))
    },

    async setConditions(
      epoch: number,
      { jobId, attempt, token }: t.AttemptRef,
      patch: ConditionPatch,
      actor: string,
      data?: EventData,
    ): Promise<t.JobRecord> {
      const facts = [JSON.stringify(patch), actor, json(data)] as const
      const set = driver.transaction('setConditions', epoch, jobId, attempt, token, ...facts)
      return jobRecord(await fenced(epoch, set))
    },

    async setProgress(
      epoch: number,
      { jobId, attempt, token }: t.AttemptRef,
      { fraction, message }: { fraction: number; message: string },
    ): Promise<void> {
      const progress = JSON.stringify({ fraction, message })
      await fenced(epoch, driver.transaction('setProgress', epoch, jobId, attempt, token, progress))
    },

    async collected(
      epoch: number,
      { jobId, attempt, token }: t.AttemptRef,
      files: { host: string; directory: string } | null,
      actor: string,
      data?: EventData,
    ): Promise<t.JobRecord> {
      const facts = [json(files), actor, json(data)] as const
      const done = driver.transaction('collected', epoch, jobId, attempt, token, ...facts)
      return jobRecord(await fenced(epoch, done))
    },

    async confirmGone(
      epoch: number,
      { jobId, attempt, token }: t.AttemptRef,
      actor: string,
      report?: EventData,
    ): Promise<void> {
      await fenced(epoch, driver.transaction('confirmGone', epoch, jobId, attempt, token, actor, json(report)))
    },

    async live(options: { machine?: string; jobId?: string } = {}): Promise<readonly t.LiveAttempt[]> {
      const job = options.jobId === undefined ? 0 : (await known(driver, options.jobId)).n
      return readLive(driver, job, options.machine ?? '')
    },

    async wishes(): Promise<readonly t.Wish[]> {
      return (await driver.query('wishes', [])).map(wishRecord)
    },

    async machines(): Promise<readonly t.MachineRecord[]> {
      return (await driver.query('machines', [])).map(machineRecord)
    },

    async saveMachine(epoch: number, machine: t.SeenMachine): Promise<void> {
      const { name, state, reason, probe, quarantined, trouble } = machine
      const facts = [JSON.stringify(probe), JSON.stringify(quarantined), json(trouble)] as const
      await fenced(epoch, driver.transaction('saveMachine', epoch, name, state, reason, ...facts))
    },

    async freeGpus(machine: string, gpu: string | undefined, actor: string): Promise<readonly string[]> {
      return (await driver.transaction('freeGpus', machine, gpu ?? '', actor)).map(String)
    },

    async drain(machine: string, by: string, reason: string): Promise<boolean> {
      return (await driver.transaction('drain', machine, by, reason)) === 1
    },

    async resume(machine: string): Promise<boolean> {
      return (await driver.transaction('resume', machine)) === 1
    },

    async drains(): Promise<ReadonlyMap<string, t.Drain>> {
      const rows = await driver.query('drains', [])
      return new Map(rows.map(([machine, ...row]) => [String(machine), drainOf(row)]))
    },

    ...queuePauses(driver),
  }
}

const json = (value: object | null | undefined): string | null => (value ? JSON.stringify(value) : null)
