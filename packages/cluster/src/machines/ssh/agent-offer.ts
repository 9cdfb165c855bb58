/**
 * The keys of the user's agent as one try: those that may be offered, each once. An agent that does not answer is left out
 * instead of holding up the login; one that asks a person before it signs has all the time of the login.
 */
import type { Clock } from '@muster/core'
import type { BaseAgent, ParsedKey } from 'ssh2'
import type { Library } from './library.js'

/** Listing keys asks nobody, so a healthy agent answers at once. Milliseconds. */
const LIST_MS = 3_000

/** An agent for ssh2, and what was offered of it. */
export interface AgentOffer {
  readonly signer: BaseAgent<ParsedKey>
  says(): string
}

/** `only`: these keys, or all; `except`: those that are offered by other means. Both in wire format. */
export function agentOffer(
  { OpenSSHAgent }: Library,
  socket: string,
  { only, except, clock }: { only: readonly Buffer[] | undefined; except: readonly Buffer[]; clock: Clock },
): AgentOffer {
  const signer = new OpenSSHAgent(socket)
  const list = signer.getIdentities.bind(signer)
  let count = 0
  signer.getIdentities = (done) => {
    let isOver = false
    const once: typeof done = (error, keys) => {
      if (isOver) return
      isOver = true
      forget()
      done(error, keys)
    }
    const forget = clock.after(LIST_MS, () => once(new Error(`it did not answer within ${LIST_MS / 1000} s`)))
    list((error, keys = []) => {
      const isWanted = (key: (typeof keys)[number]): boolean => {
        if (!('getPublicSSH' in key)) return false
        const bytes = key.getPublicSSH()
        return !except.some((one) => one.equals(bytes)) && (only?.some((one) => one.equals(bytes)) ?? true)
      }
      const wanted = keys.filter(isWanted)
      count = wanted.length
      once(error, wanted)
    })
  }
  return { signer, says: () => `the agent's ${count === 1 ? 'key' : `${count} keys`}` }
}
