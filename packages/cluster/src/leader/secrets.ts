/** Secrets: references become values here, in the leader, at the moment of a launch, and nowhere else. */
import { readFile } from 'node:fs/promises'
import { MusterError, type SecretReference } from '@muster/core'

const MAX_BYTES = 64 * 1024

/** The values of the references. Throws SECRET_UNRESOLVED naming the first that cannot be read; no value is ever in a message. */
export async function resolveSecrets(
  references: Readonly<Record<string, SecretReference>>,
): Promise<Record<string, string>> {
  const entries = Object.entries(references).map(
    async ([name, reference]) => [name, await resolve(name, reference)] as const,
  )
  return Object.fromEntries(await Promise.all(entries))
}

/** Why the references cannot be resolved here, or undefined when they can. */
export async function whyUnresolved(
  references: Readonly<Record<string, SecretReference>>,
): Promise<string | undefined> {
  try {
    await resolveSecrets(references)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

async function resolve(name: string, reference: SecretReference): Promise<string> {
  if ('env' in reference) return checked(name, `the variable ${reference.env}`, process.env[reference.env])
  const text = await readFile(reference.file, 'utf8').catch(() => undefined)
  // Files are written by editors and by echo: the one newline at the end is theirs, not the secret's.
  return checked(name, `the file ${reference.file}`, text?.replace(/\r?\n$/, ''))
}

function checked(name: string, source: string, value: string | undefined): string {
  const fault =
    value === undefined
      ? 'is not set or cannot be read'
      : value.includes('\0')
        ? 'holds a NUL byte'
        : value.length > MAX_BYTES
          ? 'is too long'
          : undefined
  if (fault === undefined && value !== undefined) return value
  throw new MusterError('SECRET_UNRESOLVED', `secret ${name}: ${source} ${fault ?? ''} where the leader runs`, {
    details: { secret: name },
  })
}
