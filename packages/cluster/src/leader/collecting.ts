/** Collecting: log and artifacts of an ended attempt come here, the record says where they are, the machine's directory goes. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Desk } from './desk.js'
import type { ManagedMachine } from './machine.js'
import { nameOf, type Tracked } from './tracked.js'

const MAX_BYTES = 16 * 1024 ** 3
const MAX_FILES = 100_000

/** Where the files of an attempt lie below the files directory. */
export function attemptFiles(ref: { readonly jobId: string; readonly attempt: number }): string {
  return join(ref.jobId, String(ref.attempt))
}

/** Brings what the attempt left, then says so in the record. Safe to repeat: files are fetched anew over half-fetched ones. */
export async function collect(desk: Desk, machine: ManagedMachine, t: Tracked): Promise<void> {
  const relative = attemptFiles(t.ref)
  const directory = join(desk.filesDirectory, relative)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const report = await machine.launcher.fetch(t.key, directory, { maxBytes: MAX_BYTES, maxFiles: MAX_FILES }, desk.over)
  const refused = report.refused.slice(0, 20).map(({ path, reason }) => ({ path: path.slice(0, 200), reason }))
  const data = {
    files: report.files.length,
    ...(refused.length > 0 && { refused, text: `${report.refused.length} files refused` }),
  }
  if (refused.length > 0) desk.logger.warn({ refused, attempt: nameOf(t.ref) }, 'some artifacts were refused')
  t.live = {
    ...t.live,
    job: await desk.store.collected(desk.epoch, t.ref, { host: desk.host, directory: relative }, desk.actor, data),
  }
}
