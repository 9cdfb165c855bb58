/** JSON as a type, and its canonical form: the text by which two requests are compared. */

/** A JSON value. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue }

/** JSON text with the keys of every object sorted by code unit and absent (undefined) members left out. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, member]) => member !== undefined)
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  // Object.fromEntries defines own properties, so a key named __proto__ stays a key.
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]))
}
