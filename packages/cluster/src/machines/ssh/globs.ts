/** glob(3) for the Include of an ssh configuration: whole paths, one directory after the other, in the order of their names. */
import { readdir } from 'node:fs/promises'
import picomatch from 'picomatch'

const AS_GLOB3 = { nobrace: true, noextglob: true, noglobstar: true, nonegate: true, strictBrackets: false } as const

/** The absolute paths that match; a pattern without wildcards is its own match, whether it exists or not. */
export async function filesMatching(pattern: string): Promise<string[]> {
  let found = ['']
  for (const part of pattern.split('/').slice(1)) {
    if (!/[*?[]/.test(part)) found = found.map((path) => `${path}/${part}`)
    else found = (await Promise.all(found.map(async (path) => await entries(path, part)))).flat()
  }
  return found
}

async function entries(directory: string, part: string): Promise<string[]> {
  const matches = picomatch(part, AS_GLOB3)
  const names = await readdir(`${directory}/`).catch(() => [])
  return names
    .filter((name) => matches(name))
    .sort()
    .map((name) => `${directory}/${name}`)
}
