/** `muster queue clean`: removes messages for good, so it says how many first, and asks. What is held is never touched. */
import { parseDuration } from '@muster/core'
import type { CleanRequest, Muster, QueueCounts } from '@muster/sdk'
import type { Io } from '../../io.js'
import { confirmed, countText, reachMessages, requires, warnIfUnknown } from './reach.js'

/** What can be cleaned. */
export const STATES = ['waiting', 'ready', 'delayed', 'dead'] as const

/** The options of `clean`. */
export interface CleanFlags {
  readonly state: (typeof STATES)[number]
  readonly limit?: number
  readonly olderThan?: string
  readonly id: readonly string[]
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly json?: boolean
}

/** Removes what waits, or what the options select. */
export async function cleanQueue(io: Io, muster: Muster, name: string, flags: CleanFlags): Promise<void> {
  const { state, limit, olderThan, id: ids, dryRun = false, yes = false, json } = flags
  const olderThanMs = olderThan === undefined ? undefined : parseDuration(olderThan, '--older-than')
  const capabilities = await reachMessages(io, muster)
  if (ids.length > 0) requires(capabilities, 'byId', '--id')
  if (olderThanMs !== undefined) requires(capabilities, 'filteredClean', '--older-than')
  if (state === 'ready' || state === 'delayed') requires(capabilities, 'filteredClean', `--state ${state}`)
  await warnIfUnknown(io, muster, name)
  const which: CleanRequest = {
    state,
    ...(limit !== undefined && { limit }),
    ...(olderThanMs !== undefined && { olderThanMs }),
    ...(ids.length > 0 && { ids }),
  }
  const filtered = olderThanMs !== undefined || ids.length > 0
  const there = countOf(state, await muster.orchestrator.countQueueMessages(name))
  const most = Math.min(there, limit ?? Infinity, ids.length > 0 ? ids.length : Infinity)
  const what = `remove ${filtered ? 'up to ' : ''}${countText(most, nameOf(state))} of ${name} for good`
  if (dryRun) {
    if (json)
      await io.json({ type: 'cleaned', queue: name, state, removed: 0, wouldRemove: most, exact: !filtered, dryRun })
    else io.say(`would ${what}`)
    return
  }
  if (!(await confirmed(io, what, yes))) return
  const removed = await io.patiently(`cleaning ${name}`, () => muster.orchestrator.cleanQueue(name, which))
  if (json) await io.json({ type: 'cleaned', queue: name, state, removed, dryRun })
  else io.say(`${countText(removed, nameOf(state))} of ${name} ${removed === 1 ? 'was' : 'were'} removed`)
}

function countOf(state: CleanFlags['state'], { ready, delayed = 0, dead }: QueueCounts): number {
  return { waiting: ready + delayed, ready, delayed, dead }[state]
}

function nameOf(state: CleanFlags['state']): string {
  return state === 'dead' ? 'dead letter' : `${state} message`
}
