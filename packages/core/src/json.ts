/** JSON as a type, and its canonical form: the text by which two requests are compared. */

/** A JSON value. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue }

/** JSON text with the keys of every object sorted by code unit and absent (undefined) members left out. */
export function canonicalJson(value: unknown): string {
  // What is in order already, as most specs are, is written in one go: every submit pays for it.
  return (isCanonical(value) ? JSON.stringify(value) : sorted(value)) ?? 'null'
}

function isCanonical(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) return value.every(isCanonical)
  let last = ''
  for (const [key, member] of Object.entries(value)) {
    if (key < last || !isCanonical(member)) return false
    last = key
  }
  return true
}

function sorted(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(sorted).join(',')}]`
  const record = value as Readonly<Record<string, unknown>>
  const members = Object.keys(record)
    .sort()
    .filter((key) => record[key] !== undefined)
    .map((key) => `${JSON.stringify(key)}:${sorted(record[key])}`)
  return `{${members.join(',')}}`
}
