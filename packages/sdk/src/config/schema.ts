/**
 * What a configuration may say: one strict schema, for muster.yaml, for the user's own file and for the options of open().
 * It has no key that runs a command or names an identity file: a cloned repository may bring a muster.yaml.
 */
import { parseSize } from '@muster/core'
import { z } from 'zod'

const size = z.union([z.string(), z.number()]).transform((value) => parseSize(value, 'memory'))

/** A machine as configured. */
export const machineSchema = z.strictObject({
  name: z
    .string()
    .max(255)
    .regex(/^[^\p{Cc}\s/]+$/u, 'must be one word without spaces or slashes'),
  transport: z.literal('local'),
  labels: z.record(z.string().min(1), z.string()).optional(),
  /** Slots for jobs; by default the machine's CPU count. */
  cpus: z.number().positive().optional(),
  /** Memory for jobs; by default what the machine has. */
  memory: size.optional(),
  /** UUIDs of the GPUs that may be used; `auto`: all of them. */
  gpus: z.union([z.literal('auto'), z.array(z.string().min(1))]).optional(),
  /** Our directory on the machine. */
  stateDir: z.string().min(1).optional(),
})
/** A machine as written. */
export type MachineInput = z.input<typeof machineSchema>

/** A configuration file. */
export const configSchema = z.strictObject({
  /** `local` */
  backend: z.string().min(1).optional(),
  /** `sqlite:PATH` */
  store: z.string().min(1).optional(),
  /** Where collected logs, results and artifacts lie; by default `files` beside the record. */
  files: z.string().min(1).optional(),
  machines: z.array(machineSchema).min(1).optional(),
})
/** A configuration. */
export type Config = z.output<typeof configSchema>

/** The keys known at a path of the configuration: for a did-you-mean. */
export function knownKeys(path: readonly PropertyKey[]): string[] {
  if (path.length === 0) return Object.keys(configSchema.shape)
  return path.length === 2 && path[0] === 'machines' ? Object.keys(machineSchema.shape) : []
}
