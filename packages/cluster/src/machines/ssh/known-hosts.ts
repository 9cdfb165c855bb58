/**
 * Which host keys are known, as OpenSSH's known_hosts files say it. Pure but for reading the files.
 * Invariant: nothing but a plain line whose names match makes a key known, and a revoked key is refused whatever else says.
 */
import { MusterError } from '@muster/core'

/** One usable line of a known_hosts file. */
export interface KnownHost {
  /** `authority`: a certificate authority, which never makes a plain key known. */
  readonly marker: 'key' | 'authority' | 'revoked'
  /** The names as written: patterns separated by commas, or one hashed name. */
  readonly names: string
  readonly keyType: string
  /** In wire format. */
  readonly key: Buffer
  readonly file: string
  /** From 1. */
  readonly line: number
}

/** A known key, for people. */
export interface KnownKey {
  /** `SHA256:…` */
  readonly fingerprint: string
  readonly keyType: string
  readonly file: string
  readonly line: number
}

/** What the files say about a key that a host showed. */
export interface HostKeyVerdict {
  readonly verdict: 'known' | 'unknown' | 'changed' | 'revoked'
  /** The plain keys known for the host, of every type. With `unknown` and one of these, nobody may be trusted at first contact. */
  readonly known: readonly KnownKey[]
  /** How many certificate authorities are known for the host; muster cannot use them. */
  readonly authorities: number
}

/** The lines of a known_hosts file; what cannot be read as a line is left out, as OpenSSH does. */
export function parseKnownHosts(_text: string, _file: string): KnownHost[] {
  throw new MusterError('SSH_CONFIG_INVALID', 'not yet')
}

/** Reads several files, in their order. A missing one is empty. Throws SSH_CONFIG_INVALID for one that cannot be read. */
export function readKnownHosts(_files: readonly string[]): Promise<KnownHost[]> {
  throw new MusterError('SSH_CONFIG_INVALID', 'not yet')
}

/** Judges the key in wire format that `host` showed at `port`. With a HostKeyAlias, that is the host and 22 the port. */
export function judgeHostKey(
  _entries: readonly KnownHost[],
  _host: string,
  _port: number,
  _key: Buffer,
): HostKeyVerdict {
  throw new MusterError('SSH_CONFIG_INVALID', 'not yet')
}

/** Host key algorithms by which the host is known, for the key exchange to prefer; empty where it is not known. */
export function knownKeyTypes(_entries: readonly KnownHost[], _host: string, _port: number): string[] {
  throw new MusterError('SSH_CONFIG_INVALID', 'not yet')
}

/** The line, with its newline, that makes the key known. */
export function knownHostsLine(_host: string, _port: number, _key: Buffer): string {
  throw new MusterError('SSH_CONFIG_INVALID', 'not yet')
}

/** `SHA256:…` of a key in wire format. */
export function fingerprintOf(_key: Buffer): string {
  throw new MusterError('SSH_CONFIG_INVALID', 'not yet')
}

/** The type that stands in a key in wire format; empty where it is none. */
export function keyTypeOf(_key: Buffer): string {
  throw new MusterError('SSH_CONFIG_INVALID', 'not yet')
}
