/** The part of the record that anybody uses: submit, read, cancel, restart, note. */
import {
  canonicalJson,
  isJobId,
  MusterError,
  type Action,
  type EventData,
  type JobEventRecord,
  type JobSpec,
} from '@muster/core'
import { listJobs } from './list.js'
import { otherRequest } from './operations/insert.js'
import { attemptRecord, bornRecord, eventRecord, jobRecord } from './records.js'
import { shapeOf } from './shape.js'
import type { SqlDriver } from './sql/driver.js'
import { attemptRow, hexOf, jobRow, uuid, type JobRow } from './sql/rows.js'
import type { JobStore } from './store.js'
import type * as t from './types.js'

const PAGE = 500

/** The members of JobStore that need no leader. */
export function jobs(
  driver: SqlDriver,
): Pick<JobStore, 'insert' | 'findByKey' | 'get' | 'list' | 'attempts' | 'history' | 'cancel' | 'restart' | 'note'> {
  return {
    insert: (job) => insertJob(driver, job),

    async findByKey(spec: JobSpec): Promise<t.JobRecord | undefined> {
      if (spec.key === undefined) return undefined
      const [row] = await driver.query('jobByKey', [spec.key])
      if (!row) return undefined
      const refusal = otherRequest(
        jobRow(row),
        canonicalJson(spec),
        `the key ${JSON.stringify(spec.key)}`,
        'KEY_CONFLICT',
      )
      if (refusal) throw new MusterError(refusal.code, refusal.message, { details: refusal.details })
      return jobRecord(row)
    },

    async get(id: string): Promise<t.JobRecord | undefined> {
      const row = await find(driver, id)
      return row && jobRecord(row)
    },

    list(filter: t.JobFilter, page: { readonly limit: number; readonly after?: string }): Promise<t.JobPage> {
      return listJobs(driver, filter, page)
    },

    async attempts(id: string): Promise<readonly t.AttemptRecord[]> {
      const job = await known(driver, id)
      const rows = await driver.query('attempts', [job.n])
      return rows.map((row) => attemptRecord(uuid(job.id), attemptRow(row))).reverse()
    },

    async history(id: string): Promise<readonly JobEventRecord[]> {
      const job = await known(driver, id)
      const events: JobEventRecord[] = []
      for (;;) {
        const page = await driver.query('eventsOfJob', [job.n, events.at(-1)?.seq ?? 0, PAGE])
        for (const row of page) events.push(eventRecord(row))
        if (page.length < PAGE) return events
      }
    },

    async cancel(
      id: string,
      by: string,
      reason: string,
    ): Promise<{ outcome: 'cancelled' | 'requested' | 'ended'; job: t.JobRecord }> {
      const [outcome, row] = await driver.transaction('cancel', id, by, reason)
      return { outcome, job: jobRecord(row) }
    },

    async restart(id: string, by: string, options: { reason?: string; force?: boolean } = {}): Promise<t.JobRecord> {
      const { reason = '', force = false } = options
      return jobRecord(await driver.transaction('restart', id, by, reason, force ? 1 : 0))
    },

    async note(id: string, action: Action, actor: string, data: EventData): Promise<void> {
      await driver.transaction('note', id, action, actor, JSON.stringify(data))
    },
  }
}

/** Inserts a job, optionally under a second name. */
export async function insertJob(
  driver: SqlDriver,
  job: t.NewJob,
  name = '',
): Promise<{ job: t.JobRecord; created: boolean }> {
  const { id, spec, owner, payload, actor, external = false } = job
  const answer = await driver.transaction(
    'insert',
    hexOf(id),
    spec.key ?? null,
    spec.worker,
    spec.priority,
    external ? 1 : 0,
    shapeOf(spec),
    spec.queue,
    owner,
    Object.keys(spec.labels).length > 0 ? JSON.stringify(spec.labels) : null,
    canonicalJson(spec),
    JSON.stringify(payload),
    actor,
    name,
  )
  return typeof answer === 'number'
    ? { job: bornRecord(job, answer), created: true }
    : { job: jobRecord(answer), created: false }
}

/** The row of a job by id or second name. */
export async function find(driver: SqlDriver, id: string): Promise<JobRow | undefined> {
  const [row] = await (isJobId(id) ? driver.query('jobById', [hexOf(id)]) : driver.query('jobByName', [id]))
  return row && jobRow(row)
}

/** The row of a job by id or second name. Throws JOB_NOT_FOUND. */
export async function known(driver: SqlDriver, id: string): Promise<JobRow> {
  const job = await find(driver, id)
  if (job) return job
  throw new MusterError('JOB_NOT_FOUND', `no job ${JSON.stringify(id)} in the record`, { details: { id } })
}
