/** What is wrong with a configuration, and whose it is. */
import { MusterError } from '@muster/core'

/** Whose file it is: a project's may come with a repository, so it may say less; `userFile` is where the rest belongs. */
export type Scope = { readonly of: 'user' } | { readonly of: 'project'; readonly userFile: string }

/** CONFIG_INVALID at a place in a file. */
export function invalid(where: string, message: string): MusterError {
  return new MusterError('CONFIG_INVALID', `${where}: ${message.replaceAll(/\s+/g, ' ').trim()}`, {
    details: { where },
  })
}
