/**
 * The private keys that we may offer, and secrets by reference.
 * Invariant: no message holds a key, a passphrase or a password.
 */
import { MusterError } from '@muster/core'
import type { SecretSource } from './options.js'

/** A key that can sign. */
export interface Identity {
  readonly file: string
  readonly privateKey: Buffer
  readonly passphrase?: string
  /** In wire format. */
  readonly publicKey: Buffer
  readonly keyType: string
}

/** What the files gave. */
export interface Identities {
  readonly identities: readonly Identity[]
  /** Public keys, in wire format, whose private half cannot be used here; the agent may hold it. */
  readonly forAgent: readonly { readonly file: string; readonly publicKey: Buffer; readonly keyType: string }[]
  /** Why a file was left out: sentences for people. */
  readonly warnings: readonly string[]
}

/**
 * Reads the private keys. `explicit`: the caller named the files, so one that cannot be used is SSH_CONFIG_INVALID with the line
 * that mends it; otherwise it is left out with a warning.
 */
export function readIdentities(
  _files: readonly string[],
  _passphrase: SecretSource | undefined,
  _explicit: boolean,
): Promise<Identities> {
  throw new MusterError('SSH_CONFIG_INVALID', 'not yet')
}

/** The secret's value, without the newline at its end. Throws SSH_CONFIG_INVALID naming the variable or file. */
export function readSecret(_source: SecretSource): Promise<string> {
  throw new MusterError('SSH_CONFIG_INVALID', 'not yet')
}
