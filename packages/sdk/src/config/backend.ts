/**
 * The backend as configured: who may say what of it. A password stands in no file; it is referred to.
 *
 * Invariant: a muster.yaml, which a cloned repository may bring, cannot lead a secret of ours to a server of its choice: it may name
 * only variables that are there for a backend, and files of its own directory.
 */
import { MusterError } from '@muster/core'
import { isServerScheme, parseUrl, schemeOf, type BackendConfig } from '@muster/orchestrator'
import { realpath } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve, sep } from 'node:path'
import { didYouMean } from './did-you-mean.js'

/** A backend as written, and where. */
export interface WrittenBackend {
  readonly value: BackendConfig
  /** For errors: `environment`, or the path of a file. */
  readonly name: string
  /** What relative paths are relative to. */
  readonly base: string
  /** Who said it: a project's file is trusted less than the user's, a program or the environment may hold a password. */
  readonly by: 'program' | 'environment' | 'user' | 'project'
}

/** What a variable must begin with for a muster.yaml to name it. */
const PROJECT_VARIABLES = 'MUSTER_BACKEND_'
const KNOWN = ['local', 'redis', 'rediss', 'amqp', 'amqps']

/** The backend with absolute paths. Throws CONFIG_INVALID, which repeats nothing of a URL. */
export async function backendOf(written: WrittenBackend, userFile: string): Promise<'local' | BackendConfig> {
  const { value, name, by } = written
  const at = `${name}: backend`
  if (value.url === 'local') return localOnly(value, at)
  const scheme = schemeOf(value.url)
  if (scheme === undefined || !isServerScheme(scheme)) throw unknown(value.url, scheme, at)
  const { password } = parseUrl(value.url, at)
  const inFile = by === 'user' || by === 'project'
  if (inFile && (password !== undefined || value.password !== undefined)) throw passwordInFile(at)
  if (by === 'project') await refuseReaching(written, userFile)
  return absolute(written)
}

function localOnly(value: BackendConfig, at: string): 'local' {
  const other = Object.keys(value).find((key) => key !== 'url')
  if (other === undefined) return 'local'
  throw new MusterError('CONFIG_INVALID', `${at}.${other}: the local backend is no server and takes no such thing`)
}

/** A scheme is named, a text without one never: it could be a password. */
function unknown(url: string, scheme: string | undefined, at: string): MusterError {
  const meant = didYouMean(scheme ?? url.split(':')[0] ?? '', KNOWN)
  const what = scheme === undefined ? 'is no URL' : `has the scheme ${scheme}:, which names no backend`
  const example = meant === 'local' ? 'local' : `${meant ?? 'redis'}://HOST`
  return new MusterError('CONFIG_INVALID', `${at} ${what}`, {
    hint: meant === undefined ? 'Use local, redis://HOST:6379 or amqp://USER@HOST.' : `Did you mean ${example}?`,
    details: { key: 'backend' },
  })
}

function passwordInFile(at: string): MusterError {
  return new MusterError('CONFIG_INVALID', `${at} holds a password`, {
    hint: 'Write passwordFile: or passwordEnv: beside url: instead; a URL holds one only in the environment, MUSTER_BACKEND.',
    details: { key: 'backend' },
  })
}

/** Refuses what of a project's file reaches beyond the project. */
async function refuseReaching({ value, name, base }: WrittenBackend, userFile: string): Promise<void> {
  const { passwordEnv, passwordFile, tls } = value
  const refuse = (key: string, why: string, hint: string): never => {
    throw new MusterError('CONFIG_INVALID', `${name}: backend.${key} ${why}: a repository may bring such a file`, {
      hint: `${hint}, or write the backend into ${userFile}.`,
      details: { key: `backend.${key}` },
    })
  }
  if (passwordEnv !== undefined && !passwordEnv.startsWith(PROJECT_VARIABLES))
    refuse(
      'passwordEnv',
      `names a variable that does not begin with ${PROJECT_VARIABLES}`,
      `Call it ${PROJECT_VARIABLES}PASSWORD`,
    )
  if (tls?.verify === false)
    refuse('tls.verify', "is not for a project's file to turn off", 'Name the authority in tls.ca')
  const files = [['passwordFile', passwordFile] as const, ['tls.key', tls?.key] as const]
  for (const [key, path] of files)
    if (path !== undefined && !(await isWithin(base, path)))
      refuse(key, "names a file outside of the project's directory", 'Keep it there (and out of its commits)')
}

/** Whether a path lies below `base` once links are followed; one that is not there yet, by its text. */
async function isWithin(base: string, path: string): Promise<boolean> {
  if (path.startsWith('~')) return false
  const real = async (at: string): Promise<string> => realpath(at).catch(() => at)
  const [root, file] = [await real(base), await real(resolve(base, path))]
  return file.startsWith(root.endsWith(sep) ? root : root + sep)
}

function absolute({ value, base }: WrittenBackend): BackendConfig {
  const file = (path: string): string => (path.startsWith('~/') ? join(homedir(), path.slice(2)) : resolve(base, path))
  const { passwordFile, tls, ...rest } = value
  return {
    ...rest,
    ...(passwordFile !== undefined && { passwordFile: file(passwordFile) }),
    ...(tls && {
      tls: {
        ...tls,
        ...(tls.ca !== undefined && { ca: file(tls.ca) }),
        ...(tls.cert !== undefined && { cert: file(tls.cert) }),
        ...(tls.key !== undefined && { key: file(tls.key) }),
      },
    }),
  }
}
