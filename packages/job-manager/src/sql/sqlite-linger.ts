/**
 * How the writing thread waits. A caller that submits in a loop comes back within a fraction of what a commit takes, and waking a
 * thread that sleeps costs a tenth of a commit: so where a caller came back as soon once, the thread looks for its next request for
 * a moment before it sleeps. One that waits longer between its requests, or sends many at once, costs nothing.
 */
import { performance } from 'node:perf_hooks'
import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads'
import type { Request } from './sqlite-messages.js'

/** How soon the caller must have come back, and how long the next request is looked for, milliseconds. */
const LINGER_MS = 0.3
/** So often the thread's own timers get their turn, milliseconds. */
const TURN_MS = 10

/** Hands each request to `take`, which tells whether one like it may come back at once. */
export function serveLingering(port: MessagePort, take: (request: Request) => boolean): void {
  let answered = -Infinity
  port.on('message', (first: Request) => {
    const since = performance.now()
    for (let request: Request | undefined = first; request !== undefined;) {
      const soon = performance.now() - answered < LINGER_MS
      const mayReturn = take(request)
      answered = performance.now()
      request = soon && mayReturn && answered - since < TURN_MS ? nextWithin(port, answered + LINGER_MS) : undefined
    }
  })
}

function nextWithin(port: MessagePort, until: number): Request | undefined {
  do {
    const arrived = receiveMessageOnPort(port) as { readonly message: Request } | undefined
    if (arrived) return arrived.message
  } while (performance.now() < until)
  return undefined
}
