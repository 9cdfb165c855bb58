/**
 * The policy for what may be named as a repository and a ref. Pure: it looks at text only. Whatever passes can be handed to
 * git behind `--` or `--end-of-options` and neither runs a command nor carries a password into the record.
 */
import { MusterError } from '@muster/core'

/** A repository as named: a path as written (relative ones belong to the working directory of the caller), or a URL. */
export type Source = { readonly kind: 'path'; readonly path: string } | { readonly kind: 'url'; readonly url: string }

/** Reads the name of a repository. Throws REPO_UNSAFE; no message repeats what may be a password. */
export function parseSource(repo: string): Source {
  if (repo === '' || /\0/.test(repo) || !repo.isWellFormed()) throw unsafe('a repository needs a path or a URL')
  if (repo.startsWith('-')) throw unsafe('a repository cannot begin with a dash', 'Write ./-name for such a path.')
  if (/^[A-Za-z0-9][A-Za-z0-9+.-]*::/.test(repo)) throw unsafe('transport helpers (name::address) can run any command')
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(repo)?.[1]?.toLowerCase()
  if (scheme !== undefined) return fromUrl(repo, scheme)
  // As git reads it: a colon before the first slash means HOST:PATH.
  return /^[^/]*:/.test(repo) ? fromHostPath(repo) : { kind: 'path', path: repo }
}

function fromUrl(url: string, scheme: string): Source {
  if (scheme !== 'https' && scheme !== 'ssh') throw refusedScheme(scheme)
  if (/[\s\\\p{Cc}]/u.test(url)) throw unsafe('the URL has blanks, backslashes or control characters')
  const authority = url.slice(scheme.length + 3).split(/[/?#]/, 1)[0] ?? ''
  const at = authority.lastIndexOf('@')
  const user = at < 0 ? '' : authority.slice(0, at)
  const host = authority.slice(at + 1)
  if (at >= 0 && (scheme === 'https' || user.includes(':'))) throw carriesCredentials()
  if (/[?#]/.test(url)) throw unsafe('the URL has a query or a fragment, where tokens hide')
  if (!/^[A-Za-z0-9._-]*$/.test(user) || user.startsWith('-')) throw unsafe('the user in the URL is not a plain name')
  if (!/^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*)(:[0-9]{1,5})?$/.test(host))
    throw unsafe('the URL names no proper host')
  return { kind: 'url', url }
}

function fromHostPath(repo: string): Source {
  if (/[\s\\\p{Cc}]/u.test(repo)) throw unsafe('the address has blanks, backslashes or control characters')
  const parts = /^(?:([A-Za-z0-9._][A-Za-z0-9._-]*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*):(.+)$/.exec(repo)
  const path = parts?.[3]
  if (path === undefined || path.startsWith('-'))
    throw unsafe('this is neither a path nor HOST:PATH', 'Write ./ before a path that has a colon in it.')
  // user:password@host:path: to git a host and an odd path, to its writer a password.
  if (/^[^/]*@/.test(path)) throw carriesCredentials()
  return { kind: 'url', url: repo }
}

/** Checks the form of a ref for such a source. Throws REF_INVALID. */
export function checkRef(ref: string, source: Source): void {
  const wrong = (why: string): MusterError =>
    new MusterError('REF_INVALID', `${JSON.stringify(ref)} cannot be a ref: ${why}`)
  if (ref.length > 1_000) throw new MusterError('REF_INVALID', 'a ref of more than 1,000 characters is refused')
  if (ref.startsWith('-')) throw wrong('it begins with a dash')
  if (/[\s\p{Cc}]/u.test(ref) || !ref.isWellFormed()) throw wrong('it has blanks or control characters')
  if (/[:?*[\\]|\.\./.test(ref)) throw wrong('none of : ? * [ \\ .. may occur in it')
  if (source.kind === 'path') return
  if (/[~^]|@\{|^@$/.test(ref)) throw wrong('~, ^ and @{…} need a local repository')
  if (/\/\/|\/\.|^[./]|[./]$|\.lock(\/|$)/.test(ref)) throw wrong('git would not accept it as a name')
}

function refusedScheme(scheme: string): MusterError {
  if (scheme === 'file') return unsafe('file:// is not taken', 'Give the path itself.')
  const insecure = scheme === 'http' || scheme === 'git'
  return unsafe(`${scheme}:// is not taken${insecure ? ': anybody on the way could change the code' : ''}`)
}

function carriesCredentials(): MusterError {
  return unsafe(
    'the URL carries a user or a password, which would be recorded',
    'Leave it out: a git credential helper or an ssh key of the submitting user is used.',
  )
}

function unsafe(why: string, hint?: string): MusterError {
  return new MusterError('REPO_UNSAFE', `the repository is refused: ${why}`, hint === undefined ? {} : { hint })
}
