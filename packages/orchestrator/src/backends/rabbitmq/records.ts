/**
 * What the registry knows of queues, as facts that come in any order and any number of times. Each field of a queue (each setting, the
 * pause) bears the version of its last change, and the highest version holds.
 *
 * Invariant: learning the same records gives the same knowledge, whatever their order and however often each comes.
 */
import type { QueueSettings } from '../../backend.js'

/** What the registry knows of a queue. */
export interface Entry {
  readonly settings: Partial<QueueSettings>
  /** Undefined where no record says so or so: it is not paused. */
  readonly paused: boolean | undefined
}

/** A value, and when it was set: `n` is one higher than all that its writer had seen; of two that knew nothing of each other, `by` decides. */
export interface Field {
  readonly value: unknown
  readonly n: number
  readonly by: string
}

/** One record: a queue is there, and these of its fields were set. */
export interface RegistryRecord {
  readonly queue: string
  readonly fields: Readonly<Record<string, Field>>
}

const PAUSED = 'paused'

/** What somebody has learned. */
export class Knowledge {
  readonly #queues = new Map<string, Map<string, Field>>()
  readonly #entries = new Map<string, Entry>()
  #highest = 0

  /** Takes a record in; says whether it said anything new. */
  learn({ queue, fields }: RegistryRecord): boolean {
    const known = this.#queues.get(queue) ?? new Map<string, Field>()
    const news = Object.entries(fields).filter(([key, field]) => newer(field, known.get(key)))
    if (news.length === 0 && this.#queues.has(queue)) return false
    for (const [key, field] of news) {
      known.set(key, field)
      this.#highest = Math.max(this.#highest, field.n)
    }
    this.#queues.set(queue, known)
    this.#entries.set(queue, entryOf(known))
    return true
  }

  /** What holds for a queue. */
  get(queue: string): Entry | undefined {
    return this.#entries.get(queue)
  }

  /** Names of all queues, sorted. */
  names(): readonly string[] {
    return [...this.#queues.keys()].sort()
  }

  /** A change by `by` that is newer than all that is known; undefined where it would change nothing. */
  change(
    queue: string,
    { settings = {}, paused }: { readonly settings?: Partial<QueueSettings>; readonly paused?: boolean },
    by: string,
  ): RegistryRecord | undefined {
    const known = this.#queues.get(queue)
    const wanted = Object.entries({ ...settings, ...(paused !== undefined && { [PAUSED]: paused }) })
    // A queue that nobody paused is not paused.
    const unset = (key: string): unknown => (key === PAUSED ? false : undefined)
    const changed = wanted.filter(([key, value]) => (known?.has(key) ? known.get(key)?.value : unset(key)) !== value)
    if (known && changed.length === 0) return undefined
    const n = ++this.#highest
    return { queue, fields: Object.fromEntries(changed.map(([key, value]) => [key, { value, n, by }])) }
  }

  /** What is known here and not there. */
  beyond(other: Knowledge): readonly RegistryRecord[] {
    return [...this.#queues].flatMap(([queue, fields]) => {
      const there = other.#queues.get(queue)
      const more = [...fields].filter(([key, field]) => newer(field, there?.get(key)))
      return there && more.length === 0 ? [] : [{ queue, fields: Object.fromEntries(more) }]
    })
  }

  /** Whether a record says something that holds and that `other` does not know. */
  adds({ queue, fields }: RegistryRecord, other: Knowledge): boolean {
    const [here, there] = [this.#queues.get(queue), other.#queues.get(queue)]
    return Object.entries(fields).some(([key, field]) => !newer(here?.get(key), field) && newer(field, there?.get(key)))
  }
}

/** Those of some records that may go, since those that stay say all that they say and that still holds. */
export function superfluous(records: readonly RegistryRecord[]): ReadonlySet<RegistryRecord> {
  const all = new Knowledge()
  for (const record of records) all.learn(record)
  const said = new Knowledge()
  const rest = records.filter((record) => {
    if (!all.adds(record, said)) return true
    said.learn(record)
    return false
  })
  // A queue of which nothing was set is known by its name alone.
  return new Set(
    rest.filter((record) => {
      const known = said.get(record.queue) !== undefined
      if (!known) said.learn(record)
      return known
    }),
  )
}

/** A record as bytes. */
export function encode(record: RegistryRecord): Buffer {
  return Buffer.from(JSON.stringify(record))
}

/** Reads bytes back; undefined where they are no record as we write them: of a newer version, or of somebody else. */
export function decode(content: Uint8Array): RegistryRecord | undefined {
  try {
    const record = JSON.parse(Buffer.from(content).toString('utf8')) as RegistryRecord | null
    if (typeof record?.queue !== 'string' || typeof record.fields !== 'object') return undefined
    return Object.values(record.fields).every(isField) ? record : undefined
  } catch {
    return undefined
  }
}

function isField(field: Field | null): boolean {
  return typeof field?.by === 'string' && Number.isSafeInteger(field.n) && field.n >= 0
}

function newer(one: Field | undefined, other: Field | undefined): boolean {
  if (!one || !other) return one !== undefined
  return one.n === other.n ? one.by > other.by : one.n > other.n
}

function entryOf(fields: ReadonlyMap<string, Field>): Entry {
  const settings = [...fields].filter(([key]) => key !== PAUSED).map(([key, { value }]) => [key, value])
  const paused = fields.get(PAUSED)?.value
  return {
    settings: Object.fromEntries(settings) as Partial<QueueSettings>,
    paused: typeof paused === 'boolean' ? paused : undefined,
  }
}
