/** `muster machines drain` and `resume`: a machine out of use and into use again. */
import { formatDuration } from '@muster/core'
import type { LiveAttempt, MachineRecord, Muster } from '@muster/sdk'
import type { Io } from '../../io.js'
import { oneLine } from '../../render/table.js'

/** Options of drain. */
export interface DrainFlags {
  readonly reason?: string
  readonly wait?: boolean
  readonly json?: boolean
}

/** Drains a machine; with `wait` says what is still there until nothing is. */
export async function drain(io: Io, muster: Muster, name: string, flags: DrainFlags): Promise<void> {
  const { reason, wait = false, json = false } = flags
  const changed = await muster.cluster.drain(name, reason === undefined ? {} : { reason })
  if (!json) io.say(changed ? `nothing more is placed on ${name}` : `${name} was drained already`)
  if (wait) await waitUntilDrained(io, muster, name, json)
  const machine = (await muster.cluster.machines()).find((one) => one.name === name)
  if (json) await io.json({ type: 'machine', ...machine })
  else if (machine?.state === 'drained') io.say(`${name} is drained: nothing of this record is there`)
  else if (machine?.drain) io.say(`what runs there goes on; muster machines drain ${name} --wait waits for it`)
  else io.say(`${name} was resumed by somebody`)
}

/** Takes it into use again. */
export async function resume(
  io: Io,
  muster: Muster,
  name: string,
  { json = false }: { readonly json?: boolean },
): Promise<void> {
  const changed = await muster.cluster.resume(name)
  const machine = (await muster.cluster.machines()).find((one) => one.name === name)
  if (json) await io.json({ type: 'machine', name, ...machine })
  else io.say(changed ? `${name} is in use again` : `${name} was not drained`)
}

async function waitUntilDrained(io: Io, muster: Muster, name: string, json: boolean): Promise<void> {
  const since = io.clock.monotonic()
  let news = `waiting for ${name}`
  const stopLive = json ? undefined : io.watch(() => `${news} · ${formatDuration(io.clock.monotonic() - since)}`)
  const progress = (machine: MachineRecord, left: readonly LiveAttempt[]): void => {
    news = whatIsLeft(machine, left)
    if (!json && !io.err.isTTY) io.say(news)
  }
  try {
    await muster.cluster.drained(name, { progress, signal: io.unread })
  } finally {
    stopLive?.()
  }
}

function whatIsLeft({ name, trouble }: MachineRecord, left: readonly LiveAttempt[]): string {
  const jobs = left.slice(0, 3).map(({ job }) => `${job.id.slice(-8)} (${job.state})`)
  const more = left.length > jobs.length ? ` and ${left.length - jobs.length} more` : ''
  const silent = trouble ? `; it does not answer: ${oneLine(trouble.message)}` : ''
  return `${name} still has ${jobs.join(', ')}${more}${silent}`
}
