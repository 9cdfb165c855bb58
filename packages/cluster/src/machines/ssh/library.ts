/** ssh2, loaded when the first SSH machine is reached: a muster without one never pays for it. */
import type * as ssh2 from 'ssh2'

/** What we use of ssh2. */
export type Library = Pick<typeof ssh2, 'Client' | 'OpenSSHAgent' | 'utils'>

let loaded: Promise<Library> | undefined

/** Gives the library. */
export function library(): Promise<Library> {
  return (loaded ??= import('ssh2').then((module): Library => module.default))
}
