/**
 * The public half of a key whose private half we cannot use: encrypted, on a security key, or only in the agent.
 * OpenSSH's own format says it in clear; for others there is the `.pub` file beside it.
 */
import { readFile } from 'node:fs/promises'
import { keyTypeOf } from './known-hosts.js'

const MAGIC = 'openssh-key-v1\0'

/** The public key in wire format, or undefined where neither the file nor the one beside it says it. */
export async function publicHalf(file: string, content?: Buffer): Promise<Buffer | undefined> {
  const text = (content ?? (await readFile(file).catch(() => undefined)))?.toString('latin1') ?? ''
  return (
    inPrivateFile(text) ?? inPublicLine(text) ?? inPublicLine(await readFile(`${file}.pub`, 'latin1').catch(() => ''))
  )
}

function inPrivateFile(text: string): Buffer | undefined {
  const base64 = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END/.exec(text)?.[1] ?? ''
  const data = Buffer.from(base64, 'base64')
  if (data.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined
  let at = MAGIC.length
  const field = (): Buffer => {
    const length = at + 4 > data.length ? 0 : data.readUInt32BE(at)
    return data.subarray(at + 4, (at += 4 + length))
  }
  // The cipher, the derivation of its key, that one's options; then how many keys there are, which is always one.
  for (const _ of ['cipher', 'kdf', 'options']) field()
  at += 4
  return checked(field())
}

function inPublicLine(text: string): Buffer | undefined {
  const [, type, base64 = ''] = /^\s*([a-z0-9@.-]+) ([A-Za-z0-9+/]+=*)(?:\s|$)/.exec(text) ?? []
  const key = Buffer.from(base64, 'base64')
  return keyTypeOf(key) === type ? checked(key) : undefined
}

function checked(key: Buffer): Buffer | undefined {
  return keyTypeOf(key) === '' ? undefined : Buffer.from(key)
}
