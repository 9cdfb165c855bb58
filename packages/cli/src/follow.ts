/** Following one job to its end: its lines to standard output, what happens to it to standard error, Ctrl-C in stages. */
import { isTerminal } from '@muster/core'
import type { JobEventRecord, JobHandle, JobRecord, Muster } from '@muster/sdk'
import { constants } from 'node:os'
import { onInterrupts } from './interrupts.js'
import type { Io } from './io.js'
import { exitCodeOf, jobJson } from './render/job.js'
import { liveLine, summary } from './render/progress.js'
import { sanitize } from './render/sanitize.js'

/** How it is shown. */
export interface FollowFlags {
  readonly json?: boolean
  readonly raw?: boolean
}

/** Follows a job until it has ended (its exit code), or until the person leaves (130). */
export async function followJob(io: Io, muster: Muster, job: JobHandle, flags: FollowFlags): Promise<number> {
  const leaving = new AbortController()
  const signal = AbortSignal.any([leaving.signal, io.unread])
  const show: Shown = { io, job, flags, latest: await job.status(), signal, told: '', why: '' }
  const stopListening = onInterrupts(io.clock, {
    first: () => {
      io.say(`the job goes on without this command; come back with: muster logs -f ${job.id}`)
      io.say('Ctrl-C again cancels it')
    },
    cancel: () => {
      io.say('cancelling, and waiting until nothing of it is left; Ctrl-C once more leaves')
      void muster.cluster.cancelJob(job.id, 'Ctrl-C').catch((error: unknown) => {
        leaving.abort(error)
      })
    },
    leave: () => {
      leaving.abort(LEFT)
    },
  })
  const stopLive = flags.raw || flags.json ? undefined : io.watch(() => liveLine(show.latest, io, show.why))
  const over = new AbortController()
  const fresh = keepFresh(show, muster, AbortSignal.any([signal, over.signal]))
  try {
    await Promise.all([showEvents(show), showLines(show)])
  } catch (error) {
    if (!signal.aborted || (leaving.signal.aborted && leaving.signal.reason !== LEFT)) throw error
    return 130
  } finally {
    over.abort()
    await fresh
    stopLive?.()
    stopListening()
  }
  return ended(show)
}

const LEFT = new Error('left')

interface Shown {
  readonly io: Io
  readonly job: JobHandle
  readonly flags: FollowFlags
  /** The job as last read: what the live line shows. */
  latest: JobRecord
  readonly signal: AbortSignal
  /** The last object printed of it. */
  told: string
  /** Why it waits, as last explained. */
  why: string
}

/** Progress, and the reason of a wait, make no event: they are read once a second. Never rejects. */
async function keepFresh(show: Shown, muster: Muster, signal: AbortSignal): Promise<void> {
  const { io, job, flags } = show
  try {
    for (;;) {
      await io.clock.sleep(1_000, { signal })
      show.latest = await job.status()
      const why = waits(show.latest) ? (await muster.cluster.explain(job.id)).sentence : ''
      if (why !== '' && why !== show.why && !flags.json && !io.err.isTTY) io.say(why)
      show.why = why
    }
  } catch (error) {
    // The followers of lines and events meet the same fault, and report it.
    if (!signal.aborted) io.live(error instanceof Error ? error.message : '')
  }
}

/** Whether something keeps the job from going on that is worth a reason: no place, or a machine that does not answer. */
function waits({ state, conditions }: JobRecord): boolean {
  return state === 'queued' || (!isTerminal(state) && conditions.unconfirmedSince !== undefined)
}

async function showEvents(show: Shown): Promise<void> {
  const { io, job, flags, signal } = show
  for await (const event of job.events({ signal })) {
    show.latest = await job.status()
    // How it ended comes last of all, behind its last line: see `ended`.
    if (flags.json) await (isTerminal(show.latest.state) ? undefined : tellChange(show))
    else if (worthALine(io, event)) io.say(event.sentence)
  }
}

/** Prints the job as an object, unless it is the one printed last. */
async function tellChange(show: Shown): Promise<void> {
  const text = JSON.stringify(jobJson(show.latest))
  if (text === show.told) return
  show.told = text
  await show.io.line(text)
}

/** On a terminal the live line shows the ordinary course of things. */
function worthALine(io: Io, { action }: JobEventRecord): boolean {
  if (action === 'submit' || action === 'succeed' || action === 'collected') return false
  return !io.err.isTTY || !['ready', 'place', 'start'].includes(action)
}

async function showLines({ io, job, flags, signal }: Shown): Promise<void> {
  if (flags.raw) {
    for await (const { bytes } of job.logBytes({ signal })) await io.bytes(bytes)
    return
  }
  for await (const line of job.logs({ signal }))
    await (flags.json ? io.json({ type: 'line', id: job.id, ...line }) : io.line(sanitize(line.text, io.showsColour)))
}

async function ended(show: Shown): Promise<number> {
  const { io, job, flags } = show
  const record = await job.status()
  show.latest = record
  if (flags.json) await tellChange(show)
  else for (const line of summary(record, await job.artifacts(), io)) io.say(line)
  return isTerminal(record.state) ? exitCodeOf(record, constants.signals) : 125
}
