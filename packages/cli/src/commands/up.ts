/** `muster up`: a controller that stays: schedules, adopts, collects, and says what happens, line by line. */
import type { JobEventRecord, Muster } from '@muster/sdk'
import type { Command } from 'commander'
import { SIGNALS } from '../interrupts.js'
import type { Io } from '../io.js'
import { sanitize } from '../render/sanitize.js'
import { oneLine } from '../render/table.js'
import { withMuster } from '../session.js'
import { JSON_OPTION, type Surroundings } from './command.js'

export function addUp(program: Command, { io, exit }: Surroundings): void {
  program
    .command('up')
    .description('schedule the record until stopped')
    .option(...JSON_OPTION)
    .action(async ({ json }: { json?: boolean }) => {
      const stopping = new AbortController()
      const stop = onStop(io, () => {
        stopping.abort()
      })
      try {
        const work = async (muster: Muster): Promise<void> => {
          io.say('scheduling; Ctrl-C stops this controller, and no job')
          await narrate(io, muster, AbortSignal.any([stopping.signal, io.unread]), json ?? false)
        }
        await withMuster(io, true, work, { showRisks: true })
        io.say('stopped; running jobs go on, and the next controller takes them over')
        exit(0)
      } finally {
        stop()
      }
    })
}

/** Prints every event until stopped. */
async function narrate(io: Io, muster: Muster, signal: AbortSignal, json: boolean): Promise<void> {
  const staying = stay(io, signal)
  for await (const event of muster.jobs.watch({ signal })) await tell(io, event, json)
  await staying
}

/** A subscription keeps no process alive; this does. */
async function stay(io: Io, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await io.clock.sleep(2 ** 31 - 1, { signal }).catch(() => undefined)
}

async function tell(io: Io, event: JobEventRecord, json: boolean): Promise<void> {
  if (json) await io.json({ type: 'event', ...event })
  else
    await io.line(
      `${io.outColors.dim(new Date(event.at).toISOString().slice(11, 23))} ${event.jobId} ${sanitize(oneLine(event.sentence), false)}`,
    )
}

/** Calls `stop` at the first signal; the second one ends the process as if nobody had listened. */
function onStop(io: Io, stop: () => void): () => void {
  const dismiss = (): void => {
    for (const signal of SIGNALS) process.off(signal, handle)
  }
  const handle = (): void => {
    dismiss()
    io.say('draining; once more leaves at once')
    stop()
  }
  for (const signal of SIGNALS) process.on(signal, handle)
  return dismiss
}
