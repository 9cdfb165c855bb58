/** What one may say about the way to an SSH machine. Plain data; secrets only by reference. */

/** Where a secret is read when it is needed. */
export type SecretSource = { readonly env: string } | { readonly file: string }

/** How a machine is reached over SSH. */
export interface SshOptions {
  /** `user@host`, `host`, `user@host:port`, or a Host of the user's SSH configuration. */
  readonly destination: string
  /** A private key, absolute; by default those of the SSH configuration, then `~/.ssh/id_*`. */
  readonly identityFile?: string
  /** Where the passphrase of an encrypted key is read. */
  readonly passphrase?: SecretSource
  /** Where the password is read. */
  readonly password?: SecretSource
  /** `SHA256:…` of the machine's host key: known_hosts is then not asked for it; hops on the way are. */
  readonly fingerprint?: string
  /** `known` (default): an unknown key is refused. `trust-first`: recorded at the first contact, and said; a changed one is refused. */
  readonly hostKeys?: 'known' | 'trust-first'
  /** Whether the user's agent may sign; true by default. It is never forwarded. */
  readonly agent?: boolean
  /** `~/.ssh/config` by default; null: none. */
  readonly configFile?: string | null
  /** The user's and the system's by default. The first one is where `trust-first` records. */
  readonly knownHostsFiles?: readonly string[]
  /** For each hop, from the first packet to the last of authentication, milliseconds; 15,000 by default. */
  readonly connectTimeoutMs?: number
}
