/**
 * Group commit: the operations of one message in one transaction, each judged on its own.
 *
 * Invariant: a group is committed and synced before any of its answers leaves. An operation that throws before it wrote has done
 * no harm; one that throws after it wrote is left out and the others run again without it, so that nothing of it stays.
 */
import { MusterError } from '@muster/core'
import { operations, type OperationName } from '../operations/index.js'
import { EVENT_ACTION, type Refusal, type Reply, type Steps, type Tx } from '../operations/operation.js'
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

/** What a group came to: an answer for each operation, and which jobs have new events, of which actions (see Touched). */
export interface GroupOutcome {
  readonly answers: readonly Answer[]
  readonly touched: readonly (readonly [id: string, actions: number])[]
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
        const tx = new Gathered(shapes)
        const outcome = db.transaction(() => attemptGroup(db, tx, group, failed))
        rememberShapes(tx.memo)
        return outcome
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

/** Numbers of committed shapes: a shape is never removed, so they stay true whoever writes. */
const shapes = new Map<string, number>()
const SHAPES_MAX = 1_000

function rememberShapes(memo: ReadonlyMap<string, number>): void {
  if (memo.size <= shapes.size) return
  if (shapes.size > SHAPES_MAX) shapes.clear()
  for (const [text, n] of memo) if (text.startsWith('{')) shapes.set(text, n)
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

/** So many events are written sooner one by one than through JSON. */
const FEW = 4

/** What the operations of one transaction gathered, to be written at once before it is committed. */
class Gathered implements Tx {
  readonly now = Date.now()
  readonly memo: Map<string, number>
  readonly touched = new Map<string, number>()
  readonly #counts = new Map<string, [state: number, worker: string, change: number]>()
  #events: Row[] = []
  appended = 0

  constructor(memo: ReadonlyMap<string, number>) {
    this.memo = new Map(memo)
  }

  count(state: number, worker: string, change: number): void {
    const key = `${state} ${worker}`
    const sum = this.#counts.get(key)
    if (sum) sum[2] += change
    else this.#counts.set(key, [state, worker, change])
  }

  append(id: string, event: Row): void {
    this.touched.set(id, (this.touched.get(id) ?? 0) | (1 << Number(event[EVENT_ACTION])))
    this.#events.push(event)
    this.appended += 1
  }

  writeEvents(db: Connection): void {
    if (this.#events.length === 0) return
    if (this.#events.length > FEW) db.call(statements.insertEvents, [JSON.stringify(this.#events)])
    else for (const event of this.#events) db.call(statements.insertEvent, event)
    this.#events = []
  }

  write(db: Connection): void {
    this.writeEvents(db)
    for (const sum of this.#counts.values()) if (sum[2] !== 0) db.call(statements.count, sum)
  }
}

function attemptGroup(
  db: Connection,
  tx: Gathered,
  group: readonly Asked[],
  failed: ReadonlyMap<number, Failure>,
): GroupOutcome {
  const answers = group.map((asked, index) => failed.get(index) ?? runOne(db, tx, asked, index))
  tx.write(db)
  return { answers, touched: [...tx.touched] }
}

function runOne(db: Connection, tx: Gathered, asked: Asked, index: number): Answer {
  const { appended } = tx
  let wrote = false
  const call = (name: StatementName, params: readonly SqlValue[]): readonly Row[] => {
    if (name === 'lastMove') tx.writeEvents(db)
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
    if (wrote || tx.appended > appended) throw new Poisoned(index, failure(error, db.file))
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
