/**
 * What a job is made of: the definition (which worker, with which input), the options of a submit, and the spec that is
 * recorded. One strict zod schema each; types are inferred. The spec is the request as written: it is what a key compares.
 */
import { z } from 'zod'
import { MusterError } from './errors.js'
import { ATTEMPT_REASONS } from './job-state.js'
import type { JsonValue } from './json.js'
import { RETRYABLE_REASONS } from './retry.js'
import { parseDuration, parseSize } from './units.js'

/** Names of queues, machines, workers, labels: one line, no control characters. */
const name = z
  .string()
  .min(1)
  .max(255)
  .refine((text) => !/\p{Cc}/u.test(text) && text.isWellFormed(), 'must be one line without control characters')
const envName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be a name such as API_TOKEN')
  .max(255)
const reserved = (text: string): boolean => !/^(MUSTER_|GIT_)/.test(text)

/** A name of an environment variable that a job may set: neither MUSTER_* nor GIT_*, which muster sets and clears itself. */
export const envNameSchema = envName.refine(reserved, 'must not begin with MUSTER_ or GIT_')

/** Where the value of a secret is read when the job starts: a variable or a file of the leader's host. Only this is recorded. */
export const secretReferenceSchema = z.union([
  z.strictObject({ env: envName }),
  z.strictObject({ file: z.string().min(1) }),
])
/** A reference to a secret, never its value. */
export type SecretReference = z.infer<typeof secretReferenceSchema>

const jsonSchema: z.ZodType<JsonValue> = z.json()
const duration = (field: string) => z.union([z.string(), z.number()]).transform((value) => parseDuration(value, field))
const size = (field: string) => z.union([z.string(), z.number()]).transform((value) => parseSize(value, field))

/** What a worker is asked to do: plain data, made by `git()`, `command()` or by hand for a worker of one's own. */
export const jobDefinitionSchema = z.strictObject({
  worker: name,
  input: jsonSchema,
  secrets: z.record(envNameSchema, secretReferenceSchema).default({}),
})
/** A definition as recorded. */
export type JobDefinition = z.infer<typeof jobDefinitionSchema>
/** A definition as written. */
export type JobDefinitionInput = z.input<typeof jobDefinitionSchema>

const retrySchema = z.strictObject({
  max: z.int().min(0).max(1_000),
  on: z
    .array(z.enum(ATTEMPT_REASONS))
    .min(1)
    .default([...RETRYABLE_REASONS]),
})

/** The options of a submit, as written by people: durations and sizes may be strings. */
export const submitOptionsSchema = z.strictObject({
  /** The same key and the same request give the same job. */
  key: z.string().min(1).max(500).optional(),
  queue: name.optional(),
  owner: name.optional(),
  labels: z.record(name, z.string().max(1_000)).default({}),
  /** 0..9, 9 is the most urgent. */
  priority: z.int().min(0).max(9).default(5),
  cpus: z.number().positive().max(100_000).default(1),
  memory: size('memory').default(0),
  gpus: z.int().min(0).max(1_024).default(0),
  /** Only this machine. */
  machine: name.optional(),
  /** Only machines that carry these labels. */
  machineLabels: z.record(name, z.string()).default({}),
  /** From the start of the setup on the machine; absent: no limit. */
  timeout: duration('timeout').optional(),
  /** Between TERM and KILL. */
  grace: duration('grace').default(10_000),
  /** Short for `retry: { max }`. */
  retries: z.int().min(0).max(1_000).optional(),
  retry: retrySchema.optional(),
  onLost: z
    .union([z.literal('wait'), z.strictObject({ replaceAfter: duration('onLost.replaceAfter') })])
    .default('wait'),
})
/** Options of a submit as written. */
export type SubmitOptions = z.input<typeof submitOptionsSchema>

/** The request as recorded: normalised, complete, and never changed after the submit. */
export interface JobSpec {
  readonly worker: string
  readonly input: JsonValue
  readonly secrets: Readonly<Record<string, SecretReference>>
  readonly key?: string
  readonly queue: string
  /** Absent: the user who submits, filled in by the caller. */
  readonly owner?: string
  readonly labels: Readonly<Record<string, string>>
  readonly priority: number
  readonly resources: { readonly cpus: number; readonly memoryBytes: number; readonly gpus: number }
  readonly machine?: string
  readonly machineLabels: Readonly<Record<string, string>>
  readonly timeoutMs?: number
  readonly graceMs: number
  readonly retry: { readonly max: number; readonly on: readonly (typeof ATTEMPT_REASONS)[number][] }
  readonly onLost: 'wait' | { readonly replaceAfterMs: number }
}

/** Definitions made by {@link jobDefinition}: frozen, so what was checked once is still true. */
const checked = new WeakSet<object>()

/** Validates a definition and gives a frozen copy, which no submit needs to look at again. Throws INVALID_ARGUMENT naming the field. */
export function jobDefinition(definition: JobDefinitionInput): JobDefinition {
  refuseHidden(definition, 'job')
  const copy = freeze(parseWith(jobDefinitionSchema, definition, 'job'))
  checked.add(copy)
  return copy
}

const noOptions = freeze(submitOptionsSchema.parse({}))

function submitOptions(options: SubmitOptions): z.output<typeof submitOptionsSchema> {
  refuseHidden(options, 'options')
  return Object.keys(options).length === 0 ? noOptions : parseWith(submitOptionsSchema, options, 'options')
}

/** Validates a definition and its options and gives the spec to record. Throws INVALID_ARGUMENT naming the field. */
export function jobSpec(definition: JobDefinitionInput, options: SubmitOptions = {}): JobSpec {
  const known = checked.has(definition) ? (definition as JobDefinition) : jobDefinition(definition)
  const { worker, input, secrets } = known
  const o = submitOptions(options)
  if (o.retries !== undefined && o.retry)
    throw new MusterError('INVALID_ARGUMENT', 'options: give either retries or retry, not both')
  // In the order of their names, so that the canonical text needs no sorting.
  return {
    graceMs: o.grace,
    input,
    ...(o.key !== undefined && { key: o.key }),
    labels: o.labels,
    ...(o.machine !== undefined && { machine: o.machine }),
    machineLabels: o.machineLabels,
    onLost: o.onLost === 'wait' ? 'wait' : { replaceAfterMs: o.onLost.replaceAfter },
    ...(o.owner !== undefined && { owner: o.owner }),
    priority: o.priority,
    queue: o.queue ?? `jobs.${worker}`,
    resources: { cpus: o.cpus, gpus: o.gpus, memoryBytes: o.memory },
    retry: o.retry ?? { max: o.retries ?? 0, on: RETRYABLE_REASONS },
    secrets,
    ...(o.timeout !== undefined && { timeoutMs: o.timeout }),
    worker,
  }
}

/** Parses with a zod schema; its complaint becomes INVALID_ARGUMENT (or `code`) with the path of the first wrong field. */
export function parseWith<T extends z.ZodType>(
  schema: T,
  value: unknown,
  what: string,
  code: 'INVALID_ARGUMENT' | 'CONFIG_INVALID' = 'INVALID_ARGUMENT',
): z.output<T> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map((issue) => `${[what, ...issue.path.map(String)].join('.')}: ${issue.message}`)
  throw new MusterError(code, issues.slice(0, 3).join('; '), { details: { issues } })
}

/** Freezes plain data to its last member. */
function freeze<T>(data: T): T {
  if (typeof data !== 'object' || data === null) return data
  for (const member of Object.values(data)) freeze(member)
  return Object.freeze(data)
}

const MAX_DEPTH = 200

/** Refuses what zod's records would drop without a word (a member called __proto__), and what no schema could walk to its end. */
function refuseHidden(value: unknown, path: string, depth = 0): void {
  if (typeof value !== 'object' || value === null) return
  if (depth > MAX_DEPTH) throw new MusterError('INVALID_ARGUMENT', `${path}: nested too deeply, or within itself`)
  if (Object.hasOwn(value, '__proto__'))
    throw new MusterError('INVALID_ARGUMENT', `${path}: __proto__ cannot be a name`)
  for (const [key, member] of Object.entries(value))
    refuseHidden(member, depth < 3 ? `${path}.${key}` : path, depth + 1)
}
