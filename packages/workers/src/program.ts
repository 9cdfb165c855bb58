/**
 * What every dynamic worker of this package lets a job say about its program: what to run, where, with which environment,
 * and what to keep. Values pass byte for byte; what no process could be given (a NUL byte, a name that muster sets itself, a
 * directory outside the work directory) is refused here, with the field named, before anything is recorded.
 */
import { resolve } from 'node:path'
import {
  MusterError,
  envNameSchema,
  jobDefinition,
  type Command,
  type JobDefinition,
  type JobDefinitionInput,
  type JsonValue,
  type LaunchPlan,
} from '@muster/core'
import { z } from 'zod'

/** The kernel's limit for one argument or one variable, in bytes, its final NUL included. */
const WORD_BYTES = 131_072
const SCRIPT_BYTES = 1_048_576

const text = (maxBytes: number) =>
  z
    .string()
    .refine((value) => value.isWellFormed() && !value.includes('\0'), 'must be text without NUL bytes')
    .refine((value) => Buffer.byteLength(value) < maxBytes, `must be shorter than ${maxBytes} bytes`)

const argv = z
  .array(text(WORD_BYTES))
  .min(1, 'must name a command')
  .refine((words) => words[0] !== '', 'must name a command')
const script = text(SCRIPT_BYTES).refine((value) => value.trim() !== '', 'must not be empty')
const program = z.union([argv, script], { error: 'must be an array of words, or a script for /bin/sh' })

/** A path that stays below the directory it is joined to, whatever that is. */
const below = text(4_096)
  .refine((path) => path !== '', 'must not be empty')
  .refine((path) => !path.startsWith('/'), 'must be relative to the work directory')
  .refine((path) => !path.split('/').includes('..'), 'must stay below the work directory')

/** The fields that `git()` and `command()` have in common. */
export const programShape = {
  /** The command: words that run without a shell, or a script for /bin/sh. */
  run: program,
  /** Runs before it, in the same directory and environment. */
  setup: program.optional(),
  /** Below the work directory; the work directory itself by default. */
  cwd: below.optional(),
  /** Variables of setup and command. Values are recorded: secrets go by reference, in `secrets`. */
  env: z.record(envNameSchema, text(WORD_BYTES)).default({}),
  /** Globs below the work directory that are kept, beside what lies in MUSTER_ARTIFACTS. */
  artifacts: z.array(below).max(1_000).default([]),
}
type Program = z.output<z.ZodObject<typeof programShape>>

/** The part of a launch plan that a program decides. */
export function planOf({ run, setup, cwd, env, artifacts }: Program): LaunchPlan {
  return {
    ...(setup !== undefined && { setup: toCommand(setup) }),
    command: toCommand(run),
    ...(cwd !== undefined && { cwd }),
    env,
    artifacts,
  }
}

function toCommand(program: string | string[]): Command {
  return typeof program === 'string' ? { script: program } : { argv: program }
}

/** Where a job's secrets are read: see JobDefinition. */
export type Secrets = NonNullable<JobDefinitionInput['secrets']>

/**
 * The definition of a job from what a person wrote, frozen: the input as written (it is what a key compares) without absent members,
 * and the secrets beside it, files made absolute. Throws INVALID_ARGUMENT where a variable is both plain and secret.
 */
export function definition(
  worker: string,
  written: object & { env?: Readonly<Record<string, string>> | undefined },
  secrets: Secrets = {},
): JobDefinition {
  const twice = Object.keys(secrets).find((name) => Object.hasOwn(written.env ?? {}, name))
  if (twice !== undefined)
    throw new MusterError('INVALID_ARGUMENT', `${worker}.secrets.${twice}: is also in env; give it once`)
  return jobDefinition({
    worker,
    input: asJson(written),
    secrets: Object.fromEntries(Object.entries(secrets).map(([name, reference]) => [name, absolute(reference)])),
  })
}

/** What a schema of ours has checked, as JSON: members that are absent are left out. */
export function asJson(checked: object): JsonValue {
  return JSON.parse(JSON.stringify(checked)) as JsonValue
}

function absolute(reference: Secrets[string]): Secrets[string] {
  return 'file' in reference ? { file: resolve(reference.file) } : reference
}
