/**
 * What all commands on queues share: reaching the backend, and being sure. Invariant: an empty answer means that there is nothing,
 * never that we could not look: messages of the local backend live in another process, and that is said.
 */
import { MusterError } from '@muster/core'
import type { BackendCapabilities, Capability, Muster } from '@muster/sdk'
import type { Io } from '../../io.js'

/** Why nothing can be seen of the messages of the local backend. */
export const LOCAL = 'the local backend keeps messages within the process that uses them, out of reach of this command'

/** Reaches the backend of messages. Throws UNSUPPORTED_BY_BACKEND for the local one, BACKEND_UNAVAILABLE. */
export async function reachMessages(io: Io, { orchestrator }: Muster): Promise<BackendCapabilities> {
  // The first call connects; before it nothing is known of the backend.
  await io.patiently('reaching the queue backend', () => orchestrator.queues())
  if (orchestrator.capabilities.shared) return orchestrator.capabilities
  throw new MusterError('UNSUPPORTED_BY_BACKEND', LOCAL, {
    hint: 'Choose a backend that is a server (backend: redis://HOST or amqp://HOST), or call the orchestrator in that process.',
    details: { backend: orchestrator.capabilities.name },
  })
}

/** Throws UNSUPPORTED_BY_BACKEND where the backend lacks a capability, before anybody is asked anything. */
export function requires(capabilities: BackendCapabilities, capability: Capability, what: string): void {
  if (capabilities[capability]) return
  throw new MusterError('UNSUPPORTED_BY_BACKEND', `the ${capabilities.name} backend does not offer ${what}`, {
    hint: 'docs/guarantees.md says which backend offers what.',
    details: { backend: capabilities.name, capability },
  })
}

/** Says so where the backend holds no queue of that name: a misspelt name looks empty. */
export async function warnIfUnknown(io: Io, { orchestrator }: Muster, name: string): Promise<void> {
  if (!(await orchestrator.queues()).includes(name))
    io.say(`the backend holds no queue ${JSON.stringify(name)}; muster queue ls shows which there are`)
}

/** Whether the person is sure. Throws INVALID_ARGUMENT where nobody can be asked and `--yes` was not given. */
export async function confirmed(io: Io, what: string, yes: boolean): Promise<boolean> {
  if (yes) return true
  const answer = await io.ask(`${what}? [y/N] `)
  if (answer === undefined)
    throw new MusterError('INVALID_ARGUMENT', `this would ${what}, and nobody is there to be asked`, {
      hint: 'Say --yes if that is meant; --dry-run shows what would happen.',
    })
  if (/^y(es)?$/i.test(answer.trim())) return true
  io.say('nothing was changed')
  return false
}

/** `1 message`, `2 messages`. */
export function countText(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
