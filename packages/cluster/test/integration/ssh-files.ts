/** A directory with keys of ssh-keygen for one test file, and programs that are asked what they make of files. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keyTypeOf } from '../../src/machines/ssh/known-hosts.js'

/** The workplace of one test file. Remove it in afterAll. */
export interface KeyRoom {
  readonly directory: string
  at(name: string): string
  /** Makes the pair NAME and NAME.pub and gives the path of the private one; `-N PASSPHRASE` and the like may follow. */
  makeKey(name: string, type: string, ...args: string[]): Promise<string>
  /** The public half in wire format. */
  blobOf(name: string): Buffer
  /** A line of known_hosts. */
  keyLine(names: string, key: string): string
  remove(): void
}

export function keyRoom(): KeyRoom {
  const directory = mkdtempSync(join(tmpdir(), 'muster-test-'))
  const at = (name: string): string => join(directory, name)
  const publicBase64 = (name: string): string => readFileSync(at(`${name}.pub`), 'utf8').split(' ')[1] ?? ''
  const blobOf = (name: string): Buffer => Buffer.from(publicBase64(name), 'base64')
  return {
    directory,
    at,
    blobOf,
    keyLine: (names, key) => `${names} ${keyTypeOf(blobOf(key))} ${publicBase64(key)}`,
    makeKey: async (name, type, ...args) => {
      const defaults = args.includes('-N') ? [] : ['-N', '']
      // Making a longer one takes seconds, and no test is about that.
      const bits = type === 'rsa' ? ['-b', '2048'] : []
      await keygen('-q', '-t', type, ...bits, ...defaults, '-C', '', '-f', at(name), ...args)
      return at(name)
    },
    remove: () => {
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Never throws: what a program says and how it ends is what we compare. */
export function call(
  program: string,
  args: readonly string[],
): Promise<{ readonly code: number; readonly text: string }> {
  return new Promise((done) => {
    execFile(program, args, { encoding: 'utf8', timeout: 20_000 }, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code ?? -1), text: stdout + stderr })
    })
  })
}

export async function keygen(...args: string[]): Promise<string> {
  const { code, text } = await call('ssh-keygen', args)
  if (code !== 0) throw new Error(`ssh-keygen ${args.join(' ')}: ${text}`)
  return text
}
