/**
 * What a configuration may say: one strict schema for muster.yaml, which a cloned repository may bring, and one with more for the
 * user's own file and for the options of open(): how SSH proves itself and whom it trusts is the person's to say, never a
 * repository's.
 */
import { parseDuration, parseSize } from '@muster/core'
import { parseDestination } from '@muster/cluster'
import { backendConfig, type BackendConfig } from '@muster/orchestrator'
import { z } from 'zod'

const size = z.union([z.string(), z.number()]).transform((value) => parseSize(value, 'memory'))
const duration = z.union([z.string(), z.number()]).transform((value) => parseDuration(value, 'connectTimeout'))
const path = z.string().min(1)

/** The name of a machine. */
export const machineName = z
  .string()
  .max(255)
  .regex(/^[^\p{Cc}\s/]+$/u, 'must be one word without spaces or slashes')

/** A machine as configured. `ssh` makes it one over SSH; the machine at hand says `transport: local`. */
export const machineSchema = z
  .strictObject({
    name: machineName,
    transport: z.enum(['local', 'ssh']).optional(),
    /** `user@host`, `host`, `user@host:port`, or a Host of the user's SSH configuration. */
    ssh: z.string().min(1).optional(),
    labels: z.record(z.string().min(1), z.string()).optional(),
    /** Slots for jobs; by default the machine's CPU count. */
    cpus: z.number().positive().optional(),
    /** Memory for jobs; by default what the machine has. */
    memory: size.optional(),
    /** UUIDs of the GPUs that may be used; `auto`: all of them. */
    gpus: z.union([z.literal('auto'), z.array(z.string().min(1))]).optional(),
    /** Our directory on the machine. */
    stateDir: path.optional(),
  })
  .superRefine(({ transport, ssh }, context) => {
    const wrong = (where: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [where], message })
    }
    if (transport === 'ssh' && ssh === undefined) wrong('transport', 'a machine over SSH needs `ssh: user@host`')
    if (transport === 'local' && ssh !== undefined) wrong('transport', 'the machine at hand is not reached over SSH')
    if (transport === undefined && ssh === undefined)
      wrong('name', 'say how it is reached: `ssh: user@host`, or `transport: local` for the machine at hand')
    if (ssh !== undefined) {
      const fault = destinationFault(ssh)
      if (fault !== undefined) wrong('ssh', fault)
    }
  })
/** A machine as written. */
export type MachineInput = z.input<typeof machineSchema>

/** How the user reaches a machine over SSH: below its name or its host, in the user's own file only. */
export const sshSchema = z
  .strictObject({
    /** The machine must be this host, else the entry is refused for it: what a name means is a repository's to say. */
    host: z.string().min(1).optional(),
    identityFile: path.optional(),
    passphraseEnv: z.string().min(1).optional(),
    passphraseFile: path.optional(),
    passwordEnv: z.string().min(1).optional(),
    passwordFile: path.optional(),
    /** Of the machine's host key. */
    fingerprint: z
      .string()
      .regex(/^SHA256:[A-Za-z0-9+/]{43}$/, 'must be SHA256: and 43 characters, as ssh-keygen -l prints it')
      .optional(),
    hostKeys: z.enum(['known', 'trust-first']).optional(),
    /** Whether the agent may sign; it is never forwarded. */
    agent: z.boolean().optional(),
    /** Instead of ~/.ssh/config; null: none. */
    configFile: path.nullable().optional(),
    knownHostsFiles: z.array(path).min(1).optional(),
    connectTimeout: duration.optional(),
  })
  .superRefine((settings, context) => {
    for (const what of ['passphrase', 'password'] as const)
      if (settings[`${what}Env`] !== undefined && settings[`${what}File`] !== undefined)
        context.addIssue({ code: 'custom', path: [`${what}File`], message: `${what}Env is given, too: one of them` })
  })
/** SSH settings as written. */
export type SshInput = z.input<typeof sshSchema>

/** A text means the URL. By preprocessing, since the complaints of a union name no key. */
const backend = z.preprocess((value) => (typeof value === 'string' ? { url: value } : value), backendConfig)

/** What muster.yaml may say. */
export const projectSchema = z.strictObject({
  /** `local`, the URL of a server, or an object with the URL as `url` and more beside it. */
  backend: backend.optional(),
  /** `sqlite:PATH` */
  store: z.string().min(1).optional(),
  /** Where collected logs, results and artifacts lie; by default `files` beside the record. */
  files: z.string().min(1).optional(),
  machines: z.array(machineSchema).min(1).optional(),
})
/** What the user's own file and the options of open() may say besides. */
export const userSchema = projectSchema.extend({ ssh: z.record(z.string().min(1), sshSchema).optional() })
/** A configuration. */
export type Config = z.output<typeof userSchema>
/** A configuration as written. */
export type ConfigInput = Omit<z.input<typeof userSchema>, 'backend'> & {
  readonly backend?: string | BackendConfig | undefined
}

/** The keys that only the user may set. */
export const SSH_KEYS: readonly string[] = Object.keys(sshSchema.shape)

/** The keys known at a path of the configuration: for a did-you-mean. */
export function knownKeys(at: readonly PropertyKey[], schema: z.ZodObject): string[] {
  if (at.length === 0) return Object.keys(schema.shape)
  if (at[0] === 'backend') return Object.keys(at.length === 1 ? backendConfig.shape : TLS_KEYS)
  if (at.length !== 2) return []
  return at[0] === 'machines' ? Object.keys(machineSchema.shape) : at[0] === 'ssh' ? [...SSH_KEYS] : []
}

const TLS_KEYS = backendConfig.shape.tls.unwrap().shape

function destinationFault(text: string): string | undefined {
  try {
    parseDestination(text)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
