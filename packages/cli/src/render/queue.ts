/** Queues in words: a row of the list, one queue in the long form, a dead letter, and the same as JSON. */
import { formatDuration } from '@muster/core'
import type { DeadMessage, QueueCounts } from '@muster/sdk'
import { sanitize } from './sanitize.js'
import { cut, oneLine } from './table.js'

/** What the record knows of a queue of jobs. */
export interface JobsOfQueue {
  readonly waiting: number
  readonly running: number
  /** Whether there are more than were counted. */
  readonly more: boolean
  readonly paused: { readonly by: string; readonly at: number } | null
}

/** A queue, as far as it can be seen from here. */
export interface QueueView {
  readonly name: string
  /** Undefined: the backend holds no such queue, or cannot be looked into. */
  readonly messages: QueueCounts | undefined
  readonly jobs: JobsOfQueue | undefined
}

/** The columns of the list. */
export const HEADER = ['QUEUE', 'READY', 'DELAYED', 'LEASED', 'DEAD', 'OLDEST', 'JOBS', 'STATE']

/** A queue as a row of the list; `?` is what the backend cannot know. */
export function queueRow({ name, messages, jobs }: QueueView, now: number): string[] {
  const counted = messages
    ? [messages.ready, messages.delayed, messages.leased, messages.dead].map((count) => String(count ?? '?'))
    : ['-', '-', '-', '-']
  return [cut(clean(name), 60), ...counted, oldestText(messages), jobsText(jobs), stateText({ messages, jobs }, now)]
}

/** The object that `--json` prints for a queue; null is what cannot be known. */
export function queueJson({ name, messages, jobs }: QueueView): Record<string, unknown> {
  const { ready, delayed, leased, dead, oldestMs } = messages ?? {}
  const counts = messages && {
    ready,
    delayed: delayed ?? null,
    leased: leased ?? null,
    dead,
    oldestMs: oldestMs ?? null,
    paused: messages.paused,
  }
  return { type: 'queue', name, messages: counts ?? null, jobs: jobs ?? null }
}

/** The long form. */
export function queueLines(view: QueueView, now: number): string[] {
  const { name, messages, jobs } = view
  const unknown = (count: number | undefined): string => (count === undefined ? 'this backend cannot know' : `${count}`)
  const rows: (readonly [string, string])[] = [
    ['state', stateText(view, now) || 'open'],
    ...(messages
      ? [
          [
            'ready',
            `${messages.ready}${messages.oldestMs == null ? '' : `, the oldest for ${oldestText(messages)}`}`,
          ] as const,
          ['delayed', unknown(messages.delayed)] as const,
          ['leased', unknown(messages.leased)] as const,
          ['dead', `${messages.dead}`] as const,
        ]
      : []),
    ...(jobs ? [['jobs', jobsText(jobs)] as const] : []),
  ]
  return [clean(name), ...rows.map(([label, text]) => `  ${label.padEnd(7)}  ${text}`)]
}

/** The columns of the list of dead letters. */
export const DEAD_HEADER = ['ID', 'DIED', 'REASON', 'TRIES', 'CRASHES', 'DETAIL', 'BODY']

/** A dead letter as a row of the list. */
export function deadRow(letter: DeadMessage, now: number): string[] {
  const { id, diedAt, reason, tries, crashes, detail } = letter
  const died = `${formatDuration(Math.max(0, now - diedAt))} ago`
  return [clean(id), died, reason, `${tries}`, `${crashes}`, cut(clean(detail), 40), cut(clean(bodyText(letter)), 80)]
}

/** A dead letter in the long form, its whole body last. */
export function deadLines(letter: DeadMessage): string[] {
  const { id, reason, detail, tries, crashes, priority, publishedAt, diedAt } = letter
  return [
    clean(id),
    `  reason     ${reason}${detail === '' ? '' : `: ${clean(detail)}`}`,
    `  counts     ${tries} tries, ${crashes} crashes`,
    `  priority   ${priority}`,
    `  published  ${new Date(publishedAt).toISOString()}`,
    `  died       ${new Date(diedAt).toISOString()}`,
    clean(bodyText(letter)),
  ]
}

/** The object that `--json` prints for a dead letter; a body that is no JSON stands there as base64. */
export function deadJson(queue: string, letter: DeadMessage): Record<string, unknown> {
  const { id, reason, detail, tries, crashes, priority, publishedAt, diedAt, body, bytes } = letter
  const facts = { id, reason, detail, tries, crashes, priority, publishedAt, diedAt }
  const content = body === undefined ? { bodyBase64: Buffer.from(bytes).toString('base64') } : { body }
  return { type: 'dead', queue, ...facts, ...content }
}

function bodyText({ body, bytes }: DeadMessage): string {
  return body === undefined ? `(${bytes.length} bytes that are no JSON)` : JSON.stringify(body)
}

function oldestText(messages: QueueCounts | undefined): string {
  if (messages?.oldestMs === undefined) return messages && messages.ready > 0 ? '?' : '-'
  return messages.oldestMs === null ? '-' : formatDuration(messages.oldestMs)
}

function jobsText(jobs: JobsOfQueue | undefined): string {
  if (!jobs) return '-'
  const parts = [jobs.waiting > 0 ? `${jobs.waiting} waiting` : '', jobs.running > 0 ? `${jobs.running} running` : '']
  const text = parts.filter((part) => part !== '').join(', ')
  return jobs.more ? `${text} or more` : text || '0'
}

function stateText({ messages, jobs }: Pick<QueueView, 'messages' | 'jobs'>, now: number): string {
  const { paused } = jobs ?? {}
  const ago = paused ? `${formatDuration(Math.max(0, now - paused.at))} ago` : ''
  const ofJobs = paused ? `jobs paused by ${clean(paused.by)} ${ago}` : ''
  return [messages?.paused ? 'messages paused' : '', ofJobs].filter((text) => text !== '').join('; ')
}

/** Names and bodies come from whoever published, and are hostile on a terminal. */
function clean(text: string): string {
  return sanitize(oneLine(text), false)
}
