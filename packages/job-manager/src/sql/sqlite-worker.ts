/** The caller's end of a database thread: requests in order, answers in order, and no process kept alive by an idle one. */
import { MusterError } from '@muster/core'
import { Worker } from 'node:worker_threads'
import { storeError } from './sqlite-errors.js'
import type { Row } from './rows.js'
import type { Failure } from './sqlite-group.js'
import type { Request, Response, ThreadSettings } from './sqlite-messages.js'

type Answer = Exclude<Response, 'changed'>
interface Pending {
  resolve(answer: Answer): void
  reject(error: MusterError): void
}

/** A running thread. */
export class DatabaseThread {
  readonly #worker: Worker
  readonly #pending: Pending[] = []
  readonly #exited: Promise<void>
  readonly #file: string
  #dead: MusterError | undefined
  #closing = false

  constructor(settings: ThreadSettings, onChanged: () => void = () => undefined) {
    this.#file = settings.file
    // Without the loaders of the host program (tsx, ts-node): the thread is plain JavaScript.
    this.#worker = new Worker(new URL('./sqlite-thread.js', import.meta.url), { workerData: settings, execArgv: [] })
    this.#worker.unref()
    this.#worker.on('message', (response: Response) => {
      if (response === 'changed') return onChanged()
      this.#pending.shift()?.resolve(response)
      if (this.#pending.length === 0 && !this.#closing) this.#worker.unref()
    })
    this.#worker.on('error', (error) => {
      this.#die(storeError(error, this.#file))
    })
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#die(new MusterError('STORE_CLOSED', `the record ${this.#file} was closed`))
        resolve()
      })
    })
  }

  /** How many requests await their answer. */
  get outstanding(): number {
    return this.#pending.length
  }

  /** Asks; the process stays alive until the answer is here. */
  request(request: Exclude<Request, 'listen' | 'unlisten' | 'close'>): Promise<Answer> {
    if (this.#dead) return Promise.reject(this.#dead)
    return new Promise((resolve, reject) => {
      if (this.#pending.length === 0) this.#worker.ref()
      this.#pending.push({ resolve, reject })
      this.#worker.postMessage(request)
    })
  }

  /** Says something that has no answer. */
  tell(request: 'listen' | 'unlisten'): void {
    this.#worker.postMessage(request)
  }

  /** Lets what was asked be answered, closes the database and ends the thread. */
  async close(): Promise<void> {
    // For good: an answer that was still under way must not let the process end before the thread has.
    this.#closing = true
    this.#worker.ref()
    this.#worker.postMessage('close' satisfies Request)
    await this.#exited
  }

  #die(reason: MusterError): void {
    this.#dead ??= reason
    for (const pending of this.#pending.splice(0)) pending.reject(this.#dead)
  }
}

/** The rows of an answer. Throws what went wrong instead. */
export function rowsOf(response: object): readonly Row[] {
  if ('rows' in response) return response.rows as readonly Row[]
  throw asError(response)
}

/** The error that an answer carries. */
export function asError(response: object): MusterError {
  if (!('error' in response)) return new MusterError('STORE_FAILED', 'the database thread answered out of turn')
  const { code, message, ...options } = (response as Failure).error
  return new MusterError(code, message, options)
}
