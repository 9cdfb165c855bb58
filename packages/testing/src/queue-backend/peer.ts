/** The suite's end of a process that opens the backend (child.ts). Invariant: nobody waits for a process that has ended. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Answer, Calls, Orders } from './child.js'
import type { Worker } from './work.js'

/** A process that does what it is told. */
export class Peer {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  /** How the process ended: by which signal, or with which code. */
  readonly ended: Promise<string>
  #ids = 0
  #over = false
  /** Hears how many messages a consumer has ended since it last said so. */
  progress: (count: number) => void = () => undefined
  /** The texts that its handler has handled. */
  readonly handled: string[] = []

  private constructor(orders: Orders) {
    const script = fileURLToPath(new URL('./child.js', import.meta.url))
    this.#child = fork(script, [JSON.stringify(orders)], { serialization: 'advanced', execArgv: [] })
    this.#child.on('message', (answer: Answer) => this.#hear(answer))
    this.ended = once(this.#child, 'exit').then(([code, signal]) => {
      this.#over = true
      for (const { reject } of this.#waiting.values()) reject(new Error(`the process ended: ${String(signal ?? code)}`))
      return String(signal ?? code)
    })
  }

  /** Starts one; resolves when the backend is open there. */
  static async start(orders: Orders): Promise<Peer> {
    const peer = new Peer(orders)
    await Promise.race([once(peer.#child, 'message'), peer.ended.then((how) => Promise.reject(new Error(how)))])
    return peer
  }

  /** Asks it; rejects with what it threw, `code` included, or when it ends before it answers. */
  call<K extends keyof Calls>(name: K, ...args: Parameters<Calls[K]>): Promise<Awaited<ReturnType<Calls[K]>>> {
    if (this.#over) return Promise.reject(new Error('the process has ended'))
    const id = ++this.#ids
    return new Promise<Awaited<ReturnType<Calls[K]>>>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#child.send({ id, name, args })
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Kills it without a word; resolves when it is gone. */
  async kill(): Promise<void> {
    if (!this.#over) this.#child.kill('SIGKILL')
    await this.ended
  }

  /** The process as a member of a crowd. */
  get worker(): Worker {
    return {
      produce: (order) => this.call('produce', order),
      consume: async (order, ended, stop) => {
        this.progress = ended
        stop.addEventListener('abort', () => void this.call('stop'))
        return this.call('consume', order)
      },
    }
  }

  #hear(answer: Answer): void {
    if ('progress' in answer) return this.progress(answer.progress)
    if ('handled' in answer) return void this.handled.push(answer.handled)
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if ('error' in answer) waiting?.reject(Object.assign(new Error(answer.error.message), { code: answer.error.code }))
    else waiting?.resolve(answer.value as never)
  }
}
