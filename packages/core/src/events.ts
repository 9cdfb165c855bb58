/**
 * Events: the audit trail of a job. One shape everywhere. Stored are action and facts; the sentence is rendered on reading,
 * so that its wording can improve without rewriting history.
 */
import type { JsonValue } from './json.js'

/**
 * What can happen to a job: the events of the state table, then facts that change no state. Stored by position: append only, also
 * where the state table gains an event.
 */
export const ACTIONS = [
  'submit',
  'ready',
  'place',
  'release',
  'start',
  'succeed',
  'retry',
  'fail',
  'cancel',
  'restart',
  'cancel-requested',
  'unconfirmed',
  'confirmed',
  'stuck',
  'freed',
  'collected',
  'adopted',
  'report-refused',
  'note',
  'pruned',
] as const
/** An action of the audit trail. */
export type Action = (typeof ACTIONS)[number]

/** Facts of an event, plain JSON. Common members: reason, machine, exitCode, signal, by, text. */
export type EventData = { readonly [key: string]: JsonValue }

/** One event of a job's history. */
export interface JobEventRecord {
  /** Position in the record: grows with every event of every job; the resume position of a watch. */
  readonly seq: number
  readonly jobId: string
  /** The attempt concerned, 0 where none. */
  readonly attempt: number
  readonly action: Action
  /** Who did it: `user:NAME`, `leader:NAME`, `machine:NAME`. */
  readonly actor: string
  /** When it was recorded, by the store's clock, epoch milliseconds. */
  readonly at: number
  /** When it happened on the machine, epoch milliseconds, where that is known. */
  readonly happenedAt?: number
  readonly data: EventData
  /** The event for people. */
  readonly sentence: string
}

type Facts = Pick<JobEventRecord, 'action' | 'actor' | 'attempt' | 'data'>

/** The sentence of an event for people. */
export function renderSentence({ action, actor, attempt, data }: Facts): string {
  const text = (key: string): string => {
    const value = data[key]
    return value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value)
  }
  const because = text('reason') === '' ? '' : `: ${text('reason')}`
  const detail = text('text') === '' ? '' : ` (${text('text')})`
  switch (action) {
    case 'submit':
      return `submitted by ${actor}`
    case 'ready':
      return 'queued, ready to run'
    case 'place':
      return `attempt ${attempt} placed on ${text('machine')}, being set up`
    case 'release':
      return `attempt ${attempt} given back${because}${detail}`
    case 'start':
      return `attempt ${attempt} runs on ${text('machine')}`
    case 'succeed':
      return `attempt ${attempt} completed`
    case 'retry':
      return `attempt ${attempt} ended${because}${detail}; another follows`
    case 'fail':
      return attempt > 0 ? `attempt ${attempt} failed${because}${detail}` : `failed${because}${detail}`
    case 'cancel':
      return data['reason'] === 'cancelled' ? 'cancelled' : `cancelled${because}${detail}`
    case 'restart':
      return `restarted by ${actor}${because}`
    case 'cancel-requested':
      return `${actor} asked to cancel${because}`
    case 'unconfirmed':
      return `no word from ${text('machine')} since then; the job may well be running${detail}`
    case 'confirmed':
      return `${text('machine')} answers again`
    case 'stuck':
      return `processes survived KILL${detail}`
    case 'freed':
      return `GPUs released by ${actor}${detail}`
    case 'collected':
      return `log and artifacts collected${detail}`
    case 'adopted':
      return `adopted by ${actor}`
    case 'report-refused':
      return `a report of another attempt was kept and not applied${detail}`
    case 'note':
      return text('text')
    case 'pruned':
      return `removed by retention${detail}`
  }
}
