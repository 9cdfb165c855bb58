/**
 * Lines of an ssh configuration, split as ssh splits them. The library takes `#` for a comment wherever it stands, knows one kind
 * of quote and reads on into the next line where a value is missing: `User a#b` would log in as somebody else. It therefore gets
 * each value in quotes, and only the keywords that muster reads.
 */

const ONE_VALUE = [
  ...['hostname', 'user', 'port', 'identityfile', 'identitiesonly', 'identityagent', 'hostkeyalias', 'proxyjump'],
  ...['stricthostkeychecking', 'canonicalizehostname', 'certificatefile', 'pkcs11provider'],
]
/** Their value is a command, of which we only ask whether it is `none`. */
const COMMANDS = ['proxycommand', 'knownhostscommand']
const MANY_VALUES = ['host', 'match', 'include', 'userknownhostsfile', 'globalknownhostsfile']

/** The text for the library, line by line. Throws a RangeError that says which line is wrong and how. */
export function quotedLines(text: string): string {
  return text
    .split(/\r?\n/)
    .map((line, index) => quotedLine(line, `line ${String(index + 1)}`))
    .join('\n')
}

function quotedLine(line: string, where: string): string {
  const [, keyword = '', rest = ''] = /^\s*"?([A-Za-z0-9]+)"?(?:\s*=\s*|\s+|$)(.*)$/.exec(line) ?? []
  const kind = keyword.toLowerCase()
  if (![...ONE_VALUE, ...COMMANDS, ...MANY_VALUES].includes(kind)) return ''
  const values = COMMANDS.includes(kind) ? [/\S+/.exec(rest)?.[0].replaceAll('"', '') ?? ''] : valuesOf(rest, where)
  if (values.every((value) => value === '')) throw new RangeError(`${where}: ${keyword} has no value`)
  if (values.length > 1 && !MANY_VALUES.includes(kind)) throw new RangeError(`${where}: ${keyword} has several values`)
  // What cannot be said to the library in quotes cannot be meant either.
  if (values.some((value) => /"|\\$/.test(value))) throw new RangeError(`${where}: ${keyword} has a quote in its value`)
  return `${keyword} ${values.map((value) => `"${value}"`).join(' ')}`
}

/** Both quotes, anywhere in a value; a backslash before a quote, a backslash or a space; `#` where a value would begin. */
function valuesOf(text: string, where: string): string[] {
  const values: string[] = []
  let value: string | undefined
  let quote = ''
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at)
    const next = text.charAt(at + 1)
    if (char === '\\' && next !== '' && (`'"\\`.includes(next) || (next === ' ' && quote === ''))) {
      value = (value ?? '') + next
      at++
    } else if (quote !== '') {
      if (char === quote) quote = ''
      else value = (value ?? '') + char
    } else if (char === '"' || char === "'") {
      quote = char
      value ??= ''
    } else if (/\s/.test(char)) {
      if (value !== undefined) values.push(value)
      value = undefined
    } else if (char === '#' && value === undefined) return values
    else value = (value ?? '') + char
  }
  if (quote !== '') throw new RangeError(`${where}: a quote does not end`)
  return value === undefined ? values : [...values, value]
}
