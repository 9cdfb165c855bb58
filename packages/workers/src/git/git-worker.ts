/**
 * The `git` worker: a ref becomes a pinned commit at submit, the machine gets what it lacks, the attempt a checkout of its
 * own. Once `resolve` has returned, nothing that happens to the source matters any more.
 */
import {
  MusterError,
  parseWith,
  systemClock,
  type Clock,
  type MachineAccess,
  type Worker,
  type WorkerContext,
} from '@muster/core'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { asJson, planOf } from '../program.js'
import { parseResult } from '../result.js'
import { checkoutScript } from './checkout.js'
import { bring, nameOf, type FetchContext } from './fetch.js'
import { checkInput, inputSchema, payloadSchema, type Payload } from './input.js'
import { fetchThere } from './machine-fetch.js'
import { holds, mirrorNamed, type Mirror } from './mirror.js'
import { pin } from './pin.js'
import { tidyHere } from './retention.js'
import { tidyThere } from './retention-there.js'
import { send } from './send.js'
import { Turns } from './turns.js'

/** What the git worker needs. */
export interface GitWorkerOptions {
  /** Where commits are pinned, beside the record: a directory of ours, on a local disk. Created where missing. */
  readonly mirrorsDirectory: string
  /** The system's by default. */
  readonly clock?: Clock
  /** A fetch that makes no sign of progress for so long is ended, milliseconds; two minutes by default. */
  readonly silenceMs?: number
  /** The name of this host in what is recorded; the system's by default. */
  readonly host?: string
}

/** The worker behind `git()`; register it under the name `git`. */
export function gitWorker(options: GitWorkerOptions): Worker {
  const { clock = systemClock, silenceMs = 120_000, host = hostname() } = options
  const mirrors = resolve(options.mirrorsDirectory)
  const turns = new Turns()
  const fetching = (context: WorkerContext): FetchContext => ({
    signal: context.signal,
    progress: (text) => context.progress(text),
    clock,
    silenceMs,
    turns,
  })
  /** Makes a mirror that the machine can borrow from hold the commit, and says where it lies. */
  const bringThere = async (payload: Payload, machine: MachineAccess, context: FetchContext): Promise<string> => {
    const turn = `${machine.name} ${payload.fetch} ${payload.mirror}`
    if (payload.fetch === 'machine') return turns.take(turn, () => fetchThere(payload, machine, context))
    const mirror = mirrorNamed(mirrors, payload.mirror, payload.objectFormat)
    await restore(mirror, payload, host, context)
    if (machine.isLocal) return mirror.directory
    return turns.take(turn, () => send(mirror, payload.commit, machine, context))
  }
  return {
    kind: 'git',
    needs: ['git'],
    async resolve(input, context) {
      const request = parseWith(inputSchema, input, 'git')
      const source = checkInput(request)
      const place = { host, mirrors, history: request.history }
      const pinned = await pin(source, request.ref, place, fetching(context))
      return asJson({ ...request, ...pinned } satisfies Payload)
    },
    async prepare(job, machine, context) {
      const payload = parseWith(payloadSchema, job.payload, 'payload')
      const there = await bringThere(payload, machine, fetching(context))
      return { ...planOf(payload), workspace: checkoutScript(there, payload) }
    },
    collect: async ({ result }) => parseResult(result),
    async tidy(machine, needed, { signal, logger }) {
      const place = { mirrors, clock, signal, logger }
      await (machine === null ? tidyHere(needed, place) : tidyThere(machine, needed, place))
    },
  }
}

/** Brings back a commit that its mirror lost, from where it once came. Throws COMMIT_UNAVAILABLE where that cannot be. */
async function restore(
  mirror: Mirror,
  { origin, commit }: Payload,
  host: string,
  context: FetchContext,
): Promise<void> {
  if (await holds(mirror, commit, context.clock)) return
  const lost = (why: string, cause?: unknown): MusterError =>
    new MusterError('COMMIT_UNAVAILABLE', `commit ${commit} is not in the mirror, and ${nameOf(origin)} ${why}`, {
      cause,
    })
  if (origin.kind === 'path' && origin.host !== host) throw lost(`lies on host ${origin.host}, this is ${host}`)
  try {
    await bring(mirror, origin, commit, context)
  } catch (error) {
    if (!(error instanceof MusterError)) throw error
    throw lost(`did not give it again: ${error.message}`, error)
  }
}
