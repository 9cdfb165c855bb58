/**
 * The thread that owns a connection: one writes in groups, one reads. Started by sqlite-worker.ts; the messages (sqlite-messages.ts) are its contract.
 * Ending the thread is what really closes a database, because libsql keeps it open as long as a statement lives.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { migrate } from './migrate.js'
import type { Row } from './rows.js'
import { Connection } from './sqlite-connection.js'
import { failure, runGroup, type Failure } from './sqlite-group.js'
import { serveLingering } from './sqlite-linger.js'
import type { Read, Request, Response, ThreadSettings } from './sqlite-messages.js'
import { statements, type StatementName } from './statements.js'

if (!isMainThread && parentPort) serve(parentPort, workerData as ThreadSettings)

function serve(port: NonNullable<typeof parentPort>, { file, identity, role, pollMs }: ThreadSettings): void {
  let db: Connection | undefined
  let poll: NodeJS.Timeout | undefined
  const answer = (response: Response): void => {
    port.postMessage(response)
  }
  const connected = (): Connection => {
    if (db) return db
    const opened = new Connection(file, role, identity)
    if (role === 'write') migrate(opened)
    return (db = opened)
  }
  const readOne = ([query, ...params]: Read): readonly Row[] | Failure => {
    try {
      return connected().read(statements[query as StatementName] ?? String(query), params)
    } catch (error) {
      return failure(error, file)
    }
  }
  const handle = (request: Exclude<Request, 'listen' | 'unlisten' | 'close'>): Response => {
    try {
      if (request === 'open') return { rows: connected().read(statements.recordId, []) }
      if ('backup' in request) return { rows: connected().read('VACUUM INTO ?', [request.backup]) }
      if (!('reads' in request)) return runGroup(connected(), request)
      connected().checkFile()
      return { answers: request.reads.map(readOne), touched: [] }
    } catch (error) {
      return failure(error, file)
    }
  }
  const listen = (): void => {
    let seen = db?.dataVersion()
    poll = setInterval(() => {
      const version = db?.dataVersion()
      if (version !== seen) answer('changed')
      seen = version
    }, pollMs)
  }

  const take = (request: Request): boolean => {
    if (request === 'listen') listen()
    else if (request === 'unlisten') clearInterval(poll)
    else if (request !== 'close') answer(handle(request))
    else {
      clearInterval(poll)
      db?.close()
      port.close()
    }
    return role === 'write' && isAlone(request)
  }
  serveLingering(port, take)
}

/** Whether a request is a group of one operation: name, number of arguments, arguments. */
function isAlone(request: Request): boolean {
  return typeof request === 'object' && Array.isArray(request) && request.length === 2 + Number(request[1])
}
