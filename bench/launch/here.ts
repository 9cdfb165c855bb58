/** Muster on this machine with everything it keeps in one directory: record, files, and what the machine holds. */
import { open, type Muster } from '@muster/sdk'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

/** More than any row runs at once, so that nothing waits for a slot. */
const SLOTS = 64

/** Where {@link openHere} keeps the record of `directory`. */
export function recordPath(directory: string): string {
  return join(directory, 'jobs.db')
}

/** Opens muster in `directory`, which is made when it is missing. Whoever opens closes. */
export async function openHere(directory: string, { schedule = true } = {}): Promise<Muster> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  return open({
    store: `sqlite:${recordPath(directory)}`,
    files: join(directory, 'files'),
    machines: [{ name: 'local', transport: 'local', cpus: SLOTS, stateDir: join(directory, 'machine') }],
    schedule,
  })
}
