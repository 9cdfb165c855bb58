/** The `command` worker: a program in an empty directory of its own. What it runs must already be on the machine. */
import { parseWith, type JobDefinition, type JsonValue, type Worker } from '@muster/core'
import { z } from 'zod'
import { asJson, definition, planOf, programShape, type Secrets } from './program.js'
import { parseResult } from './result.js'

const inputSchema = z.strictObject(programShape)

/** What `command()` takes: `run`, and optionally `setup`, `cwd`, `env`, `artifacts`. */
export type CommandInput = z.input<typeof inputSchema>

/**
 * A job that runs a command without a repository, in an empty directory.
 *
 * @example command({ run: ['nvidia-smi'] })
 * @throws INVALID_ARGUMENT naming the field that is wrong.
 */
export function command({ secrets, ...written }: CommandInput & { secrets?: Secrets }): JobDefinition {
  const payload = asJson(parseWith(inputSchema, written, 'command'))
  const made = definition('command', written, secrets)
  payloads.set(made.input as object, payload)
  return made
}

/** What the inputs that were checked and frozen here resolve to: a submit by the thousand does not check them a second time. */
const payloads = new WeakMap<object, JsonValue>()

/** The worker behind `command()`; register it under the name `command`. */
export function commandWorker(): Worker {
  return {
    kind: 'command',
    resolve: async (input) => payloads.get(input as object) ?? asJson(parseWith(inputSchema, input, 'command')),
    prepare: async ({ payload }) => planOf(parseWith(inputSchema, payload, 'command')),
    collect: async ({ result }) => parseResult(result),
  }
}
