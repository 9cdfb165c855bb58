/**
 * Authentication: which keys and passwords a host is offered, in which order, and what is said when none of them was taken.
 * Named keys come before the agent's, so that an agent full of keys does not use up the tries that a server allows.
 */
import type { MusterError } from '@muster/core'
import type { AnyAuthMethod, AuthenticationType, BaseAgent, ParsedKey } from 'ssh2'
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
}

/** The tries of one connection. */
export interface Authentication {
  /** The next try among what the host has left to offer (null: it has not said yet); false when there is none. */
  next(left: readonly AuthenticationType[] | null): AnyAuthMethod | false
  /** What to throw when the host took none of them. */
  failure(at: Endpoint): MusterError
}

/** Plans the tries. */
export function authentication(library: Library, offers: Offers): Authentication {
  const tries = plan(library, offers)
  const tried: string[] = []
  let allowed: readonly string[] | undefined
  return {
    next: (left) => {
      allowed = left ?? allowed
      for (let one = tries.shift(); one; one = tries.shift()) {
        if (left !== null && !left.includes(one.needs)) continue
        if (one.says !== undefined) tried.push(one.says)
        return one.method
      }
      return false
    },
    failure: (at) => {
      const offered = tried.length === 0 ? 'there was nothing to offer it' : `offered: ${tried.join(', ')}`
      const takes = allowed === undefined || allowed.length === 0 ? '' : `; it takes: ${allowed.join(', ')}`
      const message = `${offers.user}@${at.host} accepted none of our keys or passwords (${offered}${takes})`
      return sshError('SSH_AUTH_FAILED', at, message, hintFor(offers, allowed))
    },
  }
}

interface Try {
  readonly needs: AuthenticationType
  readonly method: AnyAuthMethod
  /** For the message when all fail; the first, which only asks what is allowed, says nothing. */
  readonly says?: string
}

function plan(library: Library, { user, named, usual, agent, agentOnly, password }: Offers): Try[] {
  const key = ({ file, privateKey, passphrase, publicKey }: Identity): Try => ({
    needs: 'publickey',
    method: {
      type: 'publickey',
      username: user,
      key: privateKey,
      ...(passphrase !== undefined && { passphrase }),
    },
    says: `key ${file} (${fingerprintOf(publicKey)})`,
  })
  const tries: Try[] = [{ needs: 'none', method: { type: 'none', username: user } }, ...named.map(key)]
  if (agent !== undefined) {
    const signer = agentOnly ? chosenKeys(library, agent, agentOnly) : agent
    tries.push({ needs: 'publickey', method: { type: 'agent', username: user, agent: signer }, says: 'the agent' })
  }
  tries.push(...usual.map(key))
  if (password !== undefined) {
    tries.push({ needs: 'password', method: { type: 'password', username: user, password }, says: 'the password' })
    // What PAM often offers instead: one question, which is for the password.
    const answer: AnyAuthMethod = {
      type: 'keyboard-interactive',
      username: user,
      prompt: (_name, _instructions, _language, prompts, finish) => {
        finish(prompts.map(() => password))
      },
    }
    tries.push({ needs: 'keyboard-interactive', method: answer, says: 'the password, as an answer' })
  }
  return tries
}

function hintFor({ named, usual, agent, password }: Offers, allowed: readonly string[] | undefined): string {
  if (named.length + usual.length === 0 && agent === undefined && password === undefined)
    return 'There is no key in ~/.ssh, no agent and no password here; name one with identityFile in ~/.config/muster/config.yaml.'
  if (allowed && allowed.length > 0 && !allowed.includes('publickey'))
    return 'It takes no keys; give passwordEnv or passwordFile in ~/.config/muster/config.yaml.'
  return 'Check the user name, and that one of these keys is in ~/.ssh/authorized_keys there.'
}

/** An agent of which only some keys are offered. */
function chosenKeys({ OpenSSHAgent }: Library, socket: string, chosen: readonly Buffer[]): BaseAgent<ParsedKey> {
  const agent = new OpenSSHAgent(socket)
  const all = agent.getIdentities.bind(agent)
  agent.getIdentities = (done) => {
    all((error, keys = []) => {
      const isChosen = (key: (typeof keys)[number]): boolean =>
        'getPublicSSH' in key && chosen.some((one) => one.equals(key.getPublicSSH()))
      done(error, keys.filter(isChosen))
    })
  }
  return agent
}
