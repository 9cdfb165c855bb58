/**
 * Group commit: the operations of one message in one transaction, each judged on its own.
 *
 * Invariant: a group is committed and synced before any of its answers leaves. An operation that throws before it wrote has done
 * no harm; one that throws after it wrote is left out and the others run again without it, so that nothing of it stays.
 */
import { MusterError } from '@muster/core'
import { operations, type OperationName } from '../operations/index.js'
import type { Refusal, Reply, Steps, Tx } from '../operations/operation.js'
import type { Row, SqlValue } from './rows.js'
import type { Connection } from './sqlite-connection.js'
import { storeError } from './sqlite-errors.js'
import { statements, type StatementName } from './statements.js'

/** An error on its way to the caller's thread. */
export interface Failure {
  readonly error: Refusal & { readonly hint?: string; readonly retryable?: boolean }
}
/** What one operation of a group came to. */
export type Answer = Reply | readonly Row[] | Failure

/** What a group came to: an answer for each operation, and which jobs (32 hex digits) have new events. */
export interface GroupOutcome {
  readonly answers: readonly Answer[]
  readonly touched: readonly string[]
}

/** One operation with its arguments; `exec` runs a statement by name. */
interface Asked {
  readonly name: OperationName | 'exec'
  readonly args: readonly SqlValue[]
}

/** Runs the operations of a flat message `name, number of arguments, arguments…` as one transaction. */
export function runGroup(db: Connection, message: readonly SqlValue[]): GroupOutcome {
  const group = unpack(message)
  const failed = new Map<number, Failure>()
  try {
    for (;;) {
      try {
        return db.transaction(() => attemptGroup(db, group, failed))
      } catch (error) {
        if (!(error instanceof Poisoned)) throw error
        failed.set(error.index, error.failure)
      }
    }
  } catch (error) {
    // The whole group failed: nobody's change is in the record.
    return { answers: group.map(() => failure(error, db.file)), touched: [] }
  }
}

/** An error as it crosses threads. */
export function failure(error: unknown, file: string): Failure {
  const { code, message, hint, retryable, details } = storeError(error, file)
  return { error: { code, message, hint, retryable, details: details as Refusal['details'] } }
}

class Poisoned extends Error {
  readonly index: number
  readonly failure: Failure
  constructor(index: number, reason: Failure) {
    super('an operation failed after it had written')
    this.index = index
    this.failure = reason
  }
}

function attemptGroup(db: Connection, group: readonly Asked[], failed: ReadonlyMap<number, Failure>): GroupOutcome {
  const touched = new Set<string>()
  const changes = new Map<string, [state: number, worker: string, change: number]>()
  const tx: Tx = {
    now: Date.now(),
    memo: new Map(),
    count: (state, worker, change) => {
      const sum = changes.get(`${state} ${worker}`) ?? [state, worker, 0]
      sum[2] += change
      changes.set(`${state} ${worker}`, sum)
    },
    touch: (id) => touched.add(id),
  }
  const answers = group.map((asked, index) => failed.get(index) ?? runOne(db, tx, asked, index))
  for (const change of changes.values()) if (change[2] !== 0) db.call(statements.count, change)
  return { answers, touched: [...touched] }
}

function runOne(db: Connection, tx: Tx, asked: Asked, index: number): Answer {
  let wrote = false
  const call = (name: StatementName, params: readonly SqlValue[]): readonly Row[] => {
    const outcome = db.call(statements[name], params)
    wrote ||= outcome.wrote
    return outcome.rows
  }
  try {
    if (asked.name === 'exec') return call(asked.args[0] as StatementName, asked.args.slice(1))
    const reply = drive(operations[asked.name] as Anyone, tx, asked.args, call)
    return isRefusal(reply) ? { error: reply } : reply
  } catch (error) {
    // SQLite has ended the transaction by itself (a full disk): what would follow were commits of their own.
    if (!db.inTransaction) throw error
    if (wrote) throw new Poisoned(index, failure(error, db.file))
    return failure(error, db.file)
  }
}

type Anyone = (tx: Tx, ...args: readonly SqlValue[]) => Steps<Reply>

function drive(
  operation: Anyone,
  tx: Tx,
  args: readonly SqlValue[],
  call: (name: StatementName, params: readonly SqlValue[]) => readonly Row[],
): Reply {
  const steps = operation(tx, ...args)
  let step = steps.next([])
  while (!step.done) {
    const [name, params] = step.value
    let rows: readonly Row[]
    try {
      rows = call(name, params)
    } catch (error) {
      step = steps.throw(error)
      continue
    }
    step = steps.next(rows)
  }
  return step.value
}

function isRefusal(reply: Reply): reply is Refusal {
  return typeof reply === 'object' && reply !== null && 'code' in reply
}

function unpack(message: readonly SqlValue[]): Asked[] {
  const group: Asked[] = []
  for (let at = 0; at < message.length;) {
    const [name, size] = [message[at], Number(message[at + 1])]
    if (name !== 'exec' && !Object.hasOwn(operations, String(name)))
      throw new MusterError('STORE_FAILED', `no operation is called ${String(name)}`)
    group.push({ name: name as Asked['name'], args: message.slice(at + 2, at + 2 + size) })
    at += 2 + size
  }
  return group
}
