/** `~`, `%h` and `${NAME}` in values of the ssh configuration. What cannot be filled in is refused, as ssh does: never left as is. */
import { MusterError } from '@muster/core'
import { join, resolve } from 'node:path'

/** What a `%` letter stands for. */
export type Tokens = Readonly<Record<string, string>>

/** What fills the values of one host in. */
export interface Filling {
  readonly home: string
  readonly tokens: Tokens
  readonly variables: Readonly<Record<string, string | undefined>>
}

/** Fills `%x` in. Throws SSH_CONFIG_INVALID for a letter that the keyword does not have. */
export function fillTokens(keyword: string, value: string, tokens: Tokens): string {
  return value.replace(/%(.?)/gs, (_, letter: string) => {
    const filled = letter === '%' ? '%' : Object.hasOwn(tokens, letter) ? tokens[letter] : undefined
    if (filled !== undefined) return filled
    throw new MusterError(
      'SSH_CONFIG_INVALID',
      `${keyword} in the ssh configuration: muster cannot fill %${letter} in`,
      {
        hint: 'Write the value in full.',
      },
    )
  })
}

/** Fills a path in and makes it absolute. Throws SSH_CONFIG_INVALID. */
export function fillPath(keyword: string, value: string, { home, tokens, variables }: Filling): string {
  const named = /^~[^/]/.test(value) ? fail(keyword, value, 'muster does not know the home of other users') : value
  const there = named === '~' || named.startsWith('~/') ? join(home, named.slice(1)) : named
  const filled = fillTokens(keyword, there, tokens)
  const whole = filled.replace(
    /\$\{([^}]*)\}/g,
    (_, name: string) => variables[name] ?? fail(keyword, value, `the variable ${name} is not set`),
  )
  return resolve(whole)
}

function fail(keyword: string, value: string, why: string): never {
  const hint = 'Write the path in full.'
  throw new MusterError('SSH_CONFIG_INVALID', `${keyword} ${value} in the ssh configuration: ${why}`, { hint })
}
