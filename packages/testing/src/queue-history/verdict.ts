/**
 * What the journals of a history prove. Invariant: a message whose publish was acknowledged was settled at least once, is a dead
 * letter, or was still there at the end; whatever else is found is named.
 */
import type { Entry } from './journal.js'

/** What was found. */
export interface Verdict {
  /** Accepted messages of which nothing is left and nothing was heard. */
  readonly lost: readonly string[]
  /** What was written down about the first of the lost and of the duplicates, and when what was broken, in order, by seconds. */
  readonly stories: readonly string[]
  /** How often a message was handed out, or acknowledged, after it had been acknowledged. */
  readonly duplicates: number
  /** Whatever must not be. */
  readonly problems: readonly string[]
  readonly figures: Readonly<Record<'accepted' | 'received' | 'acked' | 'unknown' | 'dead', number>>
}

/** What the journals do not know. */
export interface Outside {
  /** What was broken at each of `faults`. */
  readonly names: readonly string[]
  /** The ids of all dead letters at the end. */
  readonly dead: ReadonlySet<string>
  /** When something was broken, from and to. */
  readonly faults: readonly (readonly [from: number, to: number])[]
  /** Whether a fault may leave two copies of a message (`dedup` or `atomicMove` is not declared): they are counted, as duplicates. */
  readonly copies: boolean
}

type Kind<K extends Entry['is']> = Extract<Entry, { is: K }>

/** A fault that was over so long ago has nothing to do with what happens now. */
const AFTERMATH_MS = 2_000

/** Judges a history that has come to rest. */
export function judge(entries: readonly Entry[], outside: Outside): Verdict {
  const of = <K extends Entry['is']>(kind: K): Kind<K>[] => entries.filter((one): one is Kind<K> => one.is === kind)
  const tried = new Set(of('publishing').flatMap(({ ids }) => ids))
  const accepted = of('accepted').flatMap(({ ids }) => ids)
  const [received, settled] = [groupById(of('received')), groupById(of('settled'))]
  const settling = groupById(of('settling'))
  const acks = new Map([...settled].map(([id, ends]) => [id, ends.filter(isAck)]))
  const answered = new Set(of('settled').map(({ delivery }) => delivery))
  const unheard = of('settling').filter(({ as, delivery }) => as === 'ack' && !answered.has(delivery))
  const unconfirmed = of('settled').filter(({ as, outcome }) => as === 'ack' && outcome === 'unconfirmed')
  const publishedAt = new Map(of('publishing').flatMap(({ ids, at }) => ids.map((id) => [id, at] as const)))
  const mayBeAcked = new Set([...unheard, ...unconfirmed].map(({ id }) => id))
  const lost = accepted.filter((id) => !acks.get(id)?.length && !mayBeAcked.has(id) && !outside.dead.has(id))
  const problems = of('wrong').map(({ what }) => what)
  for (const id of received.keys()) if (!tried.has(id)) problems.push(`${id} was received, but nobody published it`)
  const extensions = new Map<string, Kind<'extended'>[]>()
  for (const one of of('extended')) extensions.set(one.delivery, [...(extensions.get(one.delivery) ?? []), one])
  const endOf = ({ delivery, until }: Kind<'received'>, by: number): number =>
    extensions.get(delivery)?.findLast(({ at }) => at <= by)?.until ?? until
  for (const [id, all] of received) {
    const ends = settling.get(id) ?? []
    problems.push(...countsOf(id, all, ends))
    // With two copies each has a lease of its own.
    const copiedFrom = outside.copies ? (publishedAt.get(id) ?? 0) : Infinity
    const struck = outside.faults.filter(([, to]) => to >= copiedFrom)
    const since = Math.min(...struck.map(([from]) => from))
    problems.push(
      ...sharedOf(
        id,
        all.filter(({ at }) => at < since),
        ends,
        endOf,
        outside.faults,
      ),
    )
  }
  const copies = [...acks].map(([id, own]) => ({ id, extra: again(own, received.get(id) ?? []) }))
  const doubled = copies.filter(({ extra }) => extra > 0)
  const duplicates = doubled.reduce((sum, { extra }) => sum + extra, 0)
  const figures = {
    accepted: accepted.length,
    received: of('received').length,
    acked: [...acks.values()].filter((own) => own.length > 0).length,
    unknown: mayBeAcked.size,
    dead: outside.dead.size,
  }
  const told = [...lost.slice(0, 4), ...doubled.slice(0, 2).map(({ id }) => id)]
  const stories = told.flatMap((id) => storyOf(id, entries, outside))
  return { lost, stories, duplicates, problems, figures }
}

function isAck({ as, outcome }: Kind<'settled'>): boolean {
  return as === 'ack' && outcome === 'settled'
}

/**
 * Handed out after it was acknowledged, or acknowledged more than once: whichever shows more. What a frozen process finds in its socket
 * when it wakes, with a lease that is over, was handed out before.
 */
function again(acks: readonly Kind<'settled'>[], received: readonly Kind<'received'>[]): number {
  if (acks.length === 0) return 0
  const first = Math.min(...acks.map(({ at }) => at))
  return Math.max(acks.length - 1, received.filter(({ at, until }) => at > first && until > at).length)
}

/** The counter of retries is never above what was asked for. Crashes have no such bound: who receives may die before it knows. */
function countsOf(id: string, all: readonly Kind<'received'>[], ends: readonly Kind<'settling'>[]): string[] {
  return all.flatMap(({ tries, at }) => {
    const retries = ends.filter((end) => end.as === 'retry' && end.at < at).length
    return tries > retries ? [`${id} says ${tries} tries after ${retries} retries`] : []
  })
}

/** Handed out while another held it, though nothing was broken: a lease that ended early. */
function sharedOf(
  id: string,
  all: readonly Kind<'received'>[],
  ends: readonly Kind<'settling'>[],
  endOf: (last: Kind<'received'>, by: number) => number,
  faults: Outside['faults'],
): string[] {
  const sorted = [...all].sort((x, y) => x.at - y.at)
  return sorted.slice(1).flatMap((next, n) => {
    const last = sorted[n]
    if (last === undefined || next.at >= endOf(last, next.at) - 1) return []
    if (ends.some(({ delivery, at }) => delivery === last.delivery && at <= next.at)) return []
    if (faults.some(([from, to]) => from <= next.at && to + AFTERMATH_MS >= last.at)) return []
    return [
      `${id} was handed to ${next.delivery} while ${last.delivery} held it for ${endOf(last, next.at) - next.at} ms more`,
    ]
  })
}

function groupById<T extends { readonly id: string }>(items: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(item.id)
    if (group) group.push(item)
    else groups.set(item.id, [item])
  }
  return groups
}

/** All that is known of a message, among the faults. */
function storyOf(id: string, entries: readonly Entry[], { faults, names }: Outside): string[] {
  const start = faults[0]?.[0] ?? 0
  const since = (at: number): string => ((at - start) / 1_000).toFixed(3)
  const lines = entries.flatMap((entry) => {
    if ('ids' in entry) {
      const index = entry.ids.indexOf(id)
      const delay = entry.is === 'publishing' && index >= 0 ? `, delay ${entry.delays[index] ?? 0} ms` : ''
      return index >= 0 ? [{ at: entry.at, text: `${entry.is}${delay}` }] : []
    }
    if (!('id' in entry) || entry.id !== id) return []
    const { is, at, delivery } = entry
    const after = 'delayMs' in entry ? ` in ${entry.delayMs} ms` : ''
    const how =
      'as' in entry ? ` as ${entry.as}${after}` : ` until ${since(entry.until)}, ${entry.tries}/${entry.crashes}`
    return [{ at, text: `${is} by ${delivery}${how}${'outcome' in entry ? `: ${entry.outcome}` : ''}` }]
  })
  const broken = faults.map(([from, to], n) => ({ at: from, text: `(${names[n] ?? ''} until ${since(to)})` }))
  const told = [...lines, ...broken].sort((x, y) => x.at - y.at)
  return [`${id}:`, ...told.map(({ at, text }) => `  ${since(at)} ${text}`)]
}
