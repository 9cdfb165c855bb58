/** What the design has and this version has not: refused by name, with the version that brings it, never half-accepted. */

/** The version that brings a store of this scheme, as the end of a sentence, or undefined. */
export function laterScheme(url: string): string | undefined {
  const scheme = /^([a-z][a-z0-9+]*):/i.exec(url)?.[1]?.toLowerCase() ?? ''
  if (['postgres', 'postgresql'].includes(scheme))
    return 'arrives with muster 0.4; this version keeps its record in SQLite, `store: sqlite:PATH`'
  return undefined
}
