/**
 * The patterns of OpenSSH's files: `*`, `?`, and lists where `!` excludes. No regular expression: a hostile pattern costs
 * pattern x text at most.
 */

/** Whether the whole text matches: `*` is any run, `?` any one character, everything else itself. */
export function matchesPattern(text: string, pattern: string): boolean {
  let at = 0
  let back: { readonly star: number; readonly text: number } | undefined
  for (let i = 0; i < text.length || at < pattern.length;) {
    const wanted = pattern[at]
    if (wanted === '*') back = { star: at++, text: i }
    else if (i < text.length && (wanted === '?' || wanted === text[i])) [at, i] = [at + 1, i + 1]
    else if (back !== undefined && back.text < text.length) {
      // The last star takes one character more; earlier stars never have to be tried again.
      back = { star: back.star, text: back.text + 1 }
      ;[at, i] = [back.star + 1, back.text]
    } else return false
  }
  return true
}

/** Whether one of the patterns matches and none that begins with `!` does. */
export function matchesList(text: string, patterns: readonly string[]): boolean {
  const excluded = patterns.some((pattern) => pattern.startsWith('!') && matchesPattern(text, pattern.slice(1)))
  return !excluded && patterns.some((pattern) => !pattern.startsWith('!') && matchesPattern(text, pattern))
}
