/** `muster queue dead` and `redrive`: look at dead letters, which changes nothing, and put them back in line. */
import { MusterError } from '@muster/core'
import type { DeadMessage, Muster } from '@muster/sdk'
import type { Io } from '../../io.js'
import { DEAD_HEADER, deadJson, deadLines, deadRow } from '../../render/queue.js'
import { table } from '../../render/table.js'
import { confirmed, countText, reachMessages, requires, warnIfUnknown } from './reach.js'

/** The options of `dead`. */
export interface DeadFlags {
  readonly limit: number
  readonly id?: string
  readonly json?: boolean
}

/** The options of `redrive`. */
export interface RedriveFlags {
  readonly limit?: number
  readonly id: readonly string[]
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly json?: boolean
}

const PAGE = 1_000

/** Lists dead letters, oldest first; with `--id` shows one with its whole body. */
export async function listDead(io: Io, muster: Muster, name: string, { limit, id, json }: DeadFlags): Promise<void> {
  const { browse } = await reachMessages(io, muster)
  await warnIfUnknown(io, muster, name)
  const letters = await io.patiently(`reading the dead letters of ${name}`, () => read(muster, name, limit, id))
  if (id !== undefined && letters.length === 0) throw notThere(name, id, browse)
  if (json) for (const letter of letters) await io.json(deadJson(name, letter))
  else if (id !== undefined) for (const line of letters.flatMap(deadLines)) await io.line(line)
  else await print(io, letters)
  if (id !== undefined || json) return
  const { dead } = await muster.orchestrator.countQueueMessages(name)
  if (dead === 0) io.say(`${name} has no dead letter`)
  else if (dead > letters.length) io.say(`the oldest ${letters.length} of ${dead} are shown${moreText(browse, limit)}`)
}

/** Puts dead letters back in line with both counts at 0. */
export async function redrive(io: Io, muster: Muster, name: string, flags: RedriveFlags): Promise<void> {
  const { limit, id: ids, dryRun = false, yes = false, json } = flags
  const capabilities = await reachMessages(io, muster)
  if (ids.length > 0) requires(capabilities, 'byId', '--id')
  await warnIfUnknown(io, muster, name)
  const { dead } = await muster.orchestrator.countQueueMessages(name)
  const most = Math.min(ids.length === 0 ? dead : ids.length, limit ?? Infinity)
  const what = `put ${ids.length === 0 ? '' : 'up to '}${countText(most, 'dead letter')} of ${name} back in line`
  if (dryRun) {
    if (json) await io.json({ type: 'redriven', queue: name, redriven: 0, wouldRedrive: most, dryRun })
    else io.say(`would ${what}`)
    return
  }
  if (most > 1 && !(await confirmed(io, what, yes))) return
  const which = { ...(limit !== undefined && { limit }), ...(ids.length > 0 && { ids }) }
  const redriven = await io.patiently(`putting dead letters of ${name} back in line`, () =>
    muster.orchestrator.redrive(name, which),
  )
  if (json) await io.json({ type: 'redriven', queue: name, redriven, dryRun })
  else io.say(`${countText(redriven, 'dead letter')} of ${name} ${redriven === 1 ? 'is' : 'are'} back in line`)
}

/** Up to `limit` letters, or the one with that id, page by page where the backend can. */
async function read(muster: Muster, name: string, limit: number, id: string | undefined): Promise<DeadMessage[]> {
  const found: DeadMessage[] = []
  for await (const letter of muster.orchestrator.eachDeadLetter(name, {
    limit: id === undefined ? Math.min(limit, PAGE) : PAGE,
  })) {
    if (id === undefined || letter.id === id) found.push(letter)
    if (found.length === (id === undefined ? limit : 1)) break
  }
  return found
}

async function print(io: Io, letters: readonly DeadMessage[]): Promise<void> {
  if (letters.length === 0) return
  const now = io.clock.now()
  const [header = '', ...lines] = table([DEAD_HEADER, ...letters.map((letter) => deadRow(letter, now))], io.width)
  await io.line(io.outColors.bold(header))
  for (const line of lines) await io.line(line)
}

/** How to see more, if there is a way. */
function moreText(browse: boolean, limit: number): string {
  return browse || limit < PAGE ? '; --limit shows more' : `; this backend shows no more than ${PAGE}`
}

function notThere(name: string, id: string, browse: boolean): MusterError {
  const where = browse ? '' : `the first ${PAGE} of `
  return new MusterError('INVALID_ARGUMENT', `${id} is not among ${where}the dead letters of ${name}`, {
    hint: `See which there are with: muster queue dead ${name}`,
  })
}
