/** Finding a bench or a soak by its name. To add one: a file NAME.KIND.ts whose default export is a {@link Program}. */
import { MusterError } from '@muster/core'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What a bench or soak is given. */
export interface Context {
  /** A directory of its own, removed afterwards. */
  readonly scratch: string
  /** Says in a line what is going on, on standard error. */
  readonly log: (text: string) => void
  /** What of the command line belongs to this program, by name: `--backend redis`. */
  readonly options: Readonly<Record<string, string>>
  /** Adds a fact to the environment that the figures belong to: a server's settings, say. */
  readonly note: (fact: string, value: unknown) => void
}

/** What the program that runs them gives a bench or soak: all of its context but the directory and the log. */
export type Given = Partial<Pick<Context, 'options' | 'note'>>

/** A bench or soak: does its work, stops what it started, and gives its figures. */
export type Program<T> = (context: Context) => Promise<T>

/** Runs the program of that name in a scratch directory. Throws INVALID_ARGUMENT, with the names that exist, for another name. */
export async function runProgram<T>(
  directory: URL,
  kind: 'bench' | 'soak',
  name: string | undefined,
  { options = {}, note = () => undefined }: Given = {},
): Promise<T> {
  const names = programs(directory, kind)
  if (name === undefined || !names.includes(name)) throw unknown(kind, name, names)
  const { default: program } = (await import(new URL(`${name}.${kind}.ts`, directory).href)) as { default: Program<T> }
  const scratch = mkdtempSync(join(tmpdir(), `muster-${kind}-`))
  try {
    return await program({ scratch, log: (text) => console.error(text), options, note })
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** The names of what there is. */
export function programs(directory: URL, kind: 'bench' | 'soak'): readonly string[] {
  const ending = `.${kind}.ts`
  const files = readdirSync(directory).filter((file) => file.endsWith(ending))
  return files.map((file) => file.slice(0, -ending.length)).sort()
}

/** Prints an error as people want it, without a stack, and makes the process end with 2. */
export function refuse(error: unknown): void {
  if (!(error instanceof MusterError)) throw error
  console.error(`${error.code}: ${error.message}\n${error.hint}`)
  process.exitCode = 2
}

function unknown(kind: string, name: string | undefined, names: readonly string[]): MusterError {
  const message = name === undefined ? `which ${kind}?` : `there is no ${kind} named ${JSON.stringify(name)}`
  const hint =
    names.length === 0 ? `There is none yet.` : `There are: ${names.join(', ')}. Run: npm run ${kind} -- NAME`
  return new MusterError('INVALID_ARGUMENT', message, { hint })
}
