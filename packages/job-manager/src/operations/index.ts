/** The table of operations: what a driver can run as one transaction, by name. */
import { place, release, start } from './attempt.js'
import { collected, confirmGone, note, setConditions, setProgress } from './beside.js'
import { drain, resume } from './drain.js'
import { setStatus } from './external.js'
import { finish } from './finish.js'
import { alias, insert } from './insert.js'
import { setQueuePaused } from './pause.js'
import type { Refusal, Reply, Steps, Tx } from './operation.js'
import type { SqlValue } from '../sql/rows.js'
import { freeGpus, promoteDue, saveMachine } from './sweep.js'
import { cancel, restart } from './wish.js'

/** All operations. Their arguments are primitives, so that they cross a thread as one flat array. */
export const operations = {
  insert,
  alias,
  place,
  start,
  release,
  finish,
  setConditions,
  setProgress,
  collected,
  confirmGone,
  note,
  cancel,
  restart,
  promoteDue,
  saveMachine,
  freeGpus,
  drain,
  resume,
  setQueuePaused,
  setStatus,
} as const satisfies Record<string, (tx: Tx, ...args: never[]) => Steps<Reply>>

type Operations = typeof operations
/** The name of an operation. */
export type OperationName = keyof Operations
/** What an operation takes beside its transaction. */
export type OperationArgs<K extends OperationName> =
  Parameters<Operations[K]> extends [Tx, ...infer A extends readonly SqlValue[]] ? A : never
/** What an operation answers; a refusal arrives as an error instead. */
export type OperationResult<K extends OperationName> = Exclude<
  ReturnType<Operations[K]> extends Generator<unknown, infer R, never> ? R : never,
  Refusal
>
