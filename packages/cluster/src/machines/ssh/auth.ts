/**
 * Authentication: which keys and passwords a host is offered, in which order, and what is said when none of them was taken.
 * Named keys come before the agent's, and no key is offered twice, so that an agent full of keys does not use up the tries that
 * a server allows. Invariant: no message holds a secret.
 */
import type { Clock, MusterError } from '@muster/core'
import type { AnyAuthMethod, AuthenticationType } from 'ssh2'
import { agentOffer } from './agent-offer.js'
import { sshError, type Endpoint } from './errors.js'
import type { Identity } from './identities.js'
import { fingerprintOf } from './known-hosts.js'
import type { Library } from './library.js'

/** What one host may be offered. */
export interface Offers {
  readonly user: string
  /** Keys that the user or the configuration named. */
  readonly named: readonly Identity[]
  /** `~/.ssh/id_*` where nothing was named. */
  readonly usual: readonly Identity[]
  /** The agent's socket; undefined: it is not asked. */
  readonly agent: string | undefined
  /** Only these keys of the agent may sign (IdentitiesOnly), as wire format; undefined: all. */
  readonly agentOnly: readonly Buffer[] | undefined
  readonly password: string | undefined
  /** Keys that could not be offered, and why: sentences for people. */
  readonly leftOut: readonly string[]
}

/** The tries of one connection. */
export interface Authentication {
  /** The next try among what the host has left to offer (null: it has not said yet); false when there is none. */
  next(left: readonly AuthenticationType[] | null, partial?: boolean | null): AnyAuthMethod | false
  /** Something that went wrong with one try, while others go on. */
  note(what: string): void
  /** What was offered so far, for people; empty before anything was. */
  readonly offered: string
  /** What to throw when the host took none of them, or `why` it takes no more. */
  failure(at: Endpoint, why?: string): MusterError
}

/** Plans the tries. */
export function authentication(library: Library, offers: Offers, clock: Clock): Authentication {
  const tries = plan(library, offers, clock)
  const tried: Try[] = []
  const notes: string[] = []
  let allowed: readonly string[] | undefined
  let isPartial = false
  const offered = (): string => {
    const said = tried.flatMap(({ says }) => says?.() ?? [])
    return said.length === 0 ? '' : `offered: ${said.join(', ')}`
  }
  return {
    next: (left, partial) => {
      allowed = left ?? allowed
      isPartial ||= partial === true
      // What the host does not take now it may take after the first of two steps.
      const at = tries.findIndex(({ needs }) => left === null || left.includes(needs))
      const [one] = at < 0 ? [] : tries.splice(at, 1)
      if (!one) return false
      tried.push(one)
      return one.method
    },
    note: (what) => notes.push(what),
    get offered() {
      return offered()
    },
    failure: (at, why) => {
      const wants = isPartial ? 'it took one of them and wants more' : 'it takes'
      const takes = allowed === undefined || allowed.length === 0 ? [] : [`${wants}: ${allowed.join(', ')}`]
      const parts = [
        offered() || 'there was nothing to offer it',
        ...takes,
        ...(why === undefined ? [] : [why]),
        ...notes,
        ...offers.leftOut,
      ]
      const message = `${offers.user}@${at.host} accepted none of our keys or passwords (${parts.join('; ')})`
      return sshError('SSH_AUTH_FAILED', at, message, hintFor(offers, allowed, why))
    },
  }
}

interface Try {
  readonly needs: AuthenticationType
  readonly method: AnyAuthMethod
  /** For the message when all fail; the first, which only asks what is allowed, says nothing. */
  readonly says?: () => string
}

function plan(library: Library, offers: Offers, clock: Clock): Try[] {
  const { user, named, usual, agent, agentOnly, password } = offers
  const tries: Try[] = [{ needs: 'none', method: { type: 'none', username: user } }]
  tries.push(...named.map((one) => keyTry(user, one)))
  if (agent !== undefined) {
    const { signer, says } = agentOffer(library, agent, {
      only: agentOnly,
      except: named.map(({ publicKey }) => publicKey),
      clock,
    })
    tries.push({ needs: 'publickey', method: { type: 'agent', username: user, agent: signer }, says })
  }
  tries.push(...usual.map((one) => keyTry(user, one)))
  if (password !== undefined) tries.push(...passwordTries(user, password))
  return tries
}

function keyTry(user: string, { file, key, publicKey }: Identity): Try {
  return {
    needs: 'publickey',
    method: { type: 'publickey', username: user, key },
    says: () => `key ${file} (${fingerprintOf(publicKey)})`,
  }
}

function passwordTries(user: string, password: string): Try[] {
  let isGiven = false
  // What PAM often offers instead: one hidden question is for the password. We have no answer to any other.
  const answer: AnyAuthMethod = {
    type: 'keyboard-interactive',
    username: user,
    prompt: (_name, _instructions, _language, prompts, finish) => {
      const answers = prompts.map(({ echo }) => {
        if (echo === true || isGiven) return ''
        isGiven = true
        return password
      })
      finish(answers)
    },
  }
  return [
    {
      needs: 'password',
      method: { type: 'password', username: user, password },
      says: () => 'the password',
    },
    { needs: 'keyboard-interactive', method: answer, says: () => 'the password, as an answer to its question' },
  ]
}

function hintFor(offers: Offers, allowed: readonly string[] | undefined, why: string | undefined): string {
  const { named, usual, agent, password } = offers
  if (why !== undefined && /too many/i.test(why))
    return 'Name the one key with identityFile (or IdentityFile and IdentitiesOnly in ~/.ssh/config), so that the agent does not use up the tries.'
  if (password === undefined && allowed && allowed.length > 0 && !allowed.includes('publickey'))
    return 'It wants a password; give passwordEnv or passwordFile for the machine in ~/.config/muster/config.yaml.'
  if (named.length + usual.length === 0 && agent === undefined && password === undefined)
    return 'There is no usable key in ~/.ssh, no agent and no password here; name one with identityFile in ~/.config/muster/config.yaml.'
  return 'Check the user name, and that one of these keys is in ~/.ssh/authorized_keys there.'
}
