/** `muster queue ls` and `stats`: queues of messages, as the backend counts them, and queues of jobs, as the record has them. */
import type { Muster, QueueCounts } from '@muster/sdk'
import type { Io } from '../../io.js'
import { HEADER, queueJson, queueLines, queueRow, type JobsOfQueue, type QueueView } from '../../render/queue.js'
import { table } from '../../render/table.js'
import type { Surroundings } from '../command.js'
import { LOCAL, reachMessages, warnIfUnknown } from './reach.js'

interface Flags {
  readonly json?: boolean
}

/** Jobs are counted up to here, so that a list stays quick over any record. */
const MOST_JOBS = 20_000
/** How many queues are asked at once. */
const AT_ONCE = 16

/** Lists all queues; those of jobs also where the backend cannot be reached, which is then reported. Gives the exit code. */
export async function listQueues({ io, report }: Surroundings, muster: Muster, { json }: Flags): Promise<number> {
  const jobs = await io.patiently('counting jobs', () => jobsByQueue(muster))
  const looked = await io
    .patiently('asking the queue backend', () => allCounts(muster))
    .then(
      (messages) => ({ messages, failure: undefined }),
      (failure: unknown) => ({ messages: undefined, failure }),
    )
  const { messages, failure } = looked
  const names = [...new Set([...(messages?.keys() ?? []), ...jobs.keys()])].sort()
  const views = names.map((name): QueueView => ({ name, messages: messages?.get(name), jobs: jobs.get(name) }))
  if (json) for (const view of views) await io.json(queueJson(view))
  else if (views.length > 0) await print(io, views)
  if (failure !== undefined) {
    report(failure, json ?? false)
    return 1
  }
  if (messages === undefined) io.say(`${LOCAL}; only queues of jobs are listed`)
  else if (views.length === 0) io.say('no queue has been used yet')
  return 0
}

/** Shows one queue in the long form. */
export async function showQueue(io: Io, muster: Muster, name: string, { json }: Flags): Promise<void> {
  const jobs = (await io.patiently('counting jobs', () => jobsByQueue(muster, name))).get(name)
  // A queue of jobs can be looked at also where the messages of the backend cannot.
  const local = (await isLocal(io, muster)) && jobs !== undefined
  if (!local) await reachMessages(io, muster)
  const messages = local ? undefined : await muster.orchestrator.countQueueMessages(name)
  if (local) io.say(LOCAL)
  else if (!jobs) await warnIfUnknown(io, muster, name)
  const view: QueueView = { name, messages, jobs }
  if (json) await io.json(queueJson(view))
  else for (const line of queueLines(view, io.clock.now())) await io.line(line)
}

async function isLocal(io: Io, { orchestrator }: Muster): Promise<boolean> {
  await io.patiently('reaching the queue backend', () => orchestrator.queues())
  return !orchestrator.capabilities.shared
}

async function print(io: Io, views: readonly QueueView[]): Promise<void> {
  const now = io.clock.now()
  const [header = '', ...lines] = table([HEADER, ...views.map((view) => queueRow(view, now))], io.width)
  await io.line(io.outColors.bold(header))
  for (const line of lines) await io.line(line)
}

/** The counts of all queues of messages; undefined for the local backend, which has none that we could see. */
async function allCounts({ orchestrator }: Muster): Promise<ReadonlyMap<string, QueueCounts> | undefined> {
  const names = [...(await orchestrator.queues())]
  if (!orchestrator.capabilities.shared) return undefined
  const found = new Map<string, QueueCounts>()
  const work = async (): Promise<void> => {
    for (let name = names.shift(); name !== undefined; name = names.shift())
      found.set(name, await orchestrator.countQueueMessages(name))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return found
}

/** How many jobs wait and run in each queue, or in one; paused queues are there also without a job. */
async function jobsByQueue({ jobs: record }: Muster, queue?: string): Promise<Map<string, JobsOfQueue>> {
  const paused = await record.pausedQueues()
  const found = new Map<string, { waiting: number; running: number }>()
  for (const name of paused.keys())
    if (queue === undefined || name === queue) found.set(name, { waiting: 0, running: 0 })
  const filter = { state: [...ACTIVE], ...(queue !== undefined && { queue }) }
  let seen = 0
  let after: string | undefined
  do {
    const page = await record.listJobs(filter, { limit: 1_000, ...(after !== undefined && { after }) })
    for (const { queue: name, state } of page.jobs) {
      const counts = found.get(name) ?? { waiting: 0, running: 0 }
      counts[state === 'pending' || state === 'queued' ? 'waiting' : 'running'] += 1
      found.set(name, counts)
    }
    seen += page.jobs.length
    after = page.next
  } while (after !== undefined && seen < MOST_JOBS)
  const more = after !== undefined
  return new Map([...found].map(([name, counts]) => [name, { ...counts, more, paused: paused.get(name) ?? null }]))
}

const ACTIVE = ['pending', 'queued', 'scheduled', 'running'] as const
