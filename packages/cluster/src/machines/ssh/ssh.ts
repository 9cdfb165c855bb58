/**
 * Transport ssh: one connection and a few persistent shells per machine. Everything of muster goes through those shells, so the
 * login shell and its profile are met once per channel and never again.
 */
import { closeOnce, MusterError, systemIds, type RunResult } from '@muster/core'
import type { Duplex } from 'node:stream'
import { ChannelPool } from '../channel-pool.js'
import type { Target, Transport } from '../transport.js'
import { Link, type LinkTools } from './link.js'
import type { SshOptions } from './options.js'
import { getRemote, putRemote } from './remote-files.js'
import { askLogin, SHELL, shellStreams, type Login } from './sessions.js'
import { commandStream, commandWords, socketStream } from './streams.js'

/** A transport that also knows the login environment of its machine. */
export interface SshTransport extends Transport {
  /** What a login sets there, by an allow-list (PATH, HOME, USER, LANG, …). Asked once. Throws what connecting throws. */
  login(): Promise<Readonly<Record<string, string>>>
  /** How many sessions its sshd allows on a connection; null where that cannot be read, or nobody has asked yet. */
  sessionLimit(): number | null
}

/** Shells per machine: one slow script does not hold up the observation of everything else. */
const CHANNELS = 4

/** Opens nothing yet: the connection comes about at the first use. Whoever made it closes it. */
export function sshTransport(options: SshOptions, tools: LinkTools): SshTransport {
  const link = new Link(options, tools)
  const nonce = (): string => systemIds.token()
  const streams = new Set<Duplex>()
  const chores = new Set<Promise<void>>()
  let asked: Promise<Login> | undefined
  let limit: number | null = null
  let over = false

  const login = (): Promise<Login> =>
    (asked ??= link
      .connection()
      .then((connection) => askLogin(connection, tools.clock))
      .then((found) => {
        limit = found.maxSessions
        return found
      })
      .catch((error: unknown) => {
        asked = undefined
        throw error
      }))
  const pool = new ChannelPool(
    {
      open: async () => {
        // First of all, and alone: a machine may allow one session only.
        await login()
        const { channel, connection } = await link.session(SHELL)
        return shellStreams(channel, connection)
      },
      killGroup: (pid) => killGroup(link, pid),
    },
    { size: CHANNELS, nonce, clock: tools.clock },
  )

  const open = async (target: Target): Promise<Duplex> => {
    // The shells come first where sessions are few.
    await pool.run({ script: ':' })
    if ('socket' in target) {
      const connection = await link.connection()
      return socketStream(await connection.socket(target.socket), connection)
    }
    const mark = nonce()
    const { channel, connection } = await link.session(commandWords(target.command, mark))
    const { stream, pid } = commandStream(channel, connection, mark)
    stream.once('close', () => {
      if (stream.readableEnded) return
      const chore = pid.then((found) => killGroup(link, found)).finally(() => chores.delete(chore))
      chores.add(chore)
    })
    return stream
  }

  const close = closeOnce(async () => {
    over = true
    for (const stream of streams) stream.destroy()
    await pool.close()
    await Promise.all(chores)
    await link.close()
  })
  return {
    run: (script, { stdin, signal } = {}): Promise<RunResult> => pool.run({ script, stdin, signal }),
    put: (path, content, given = {}) => putRemote(pool, path, content, { ...given, token: nonce() }),
    get: (path, given) => getRemote(pool, path, given),
    open: async (target, { signal } = {}) => {
      if (over) throw new MusterError('TRANSPORT_CLOSED', 'the connection to the machine was closed')
      const stream = await open(target)
      streams.add(stream)
      const drop = (): void => {
        stream.destroy()
      }
      signal?.addEventListener('abort', drop, { once: true })
      stream.once('close', () => {
        streams.delete(stream)
        signal?.removeEventListener('abort', drop)
      })
      if (over || signal?.aborted) drop()
      return stream
    },
    login: async () => (await login()).environment,
    sessionLimit: () => limit,
    close,
    [Symbol.asyncDispose]: close,
  }
}

/**
 * Kills what a shell of ours started there. Never rejects: a machine that cannot be reached cannot be cleaned, and what was cut
 * off there comes to its end by itself.
 */
async function killGroup(link: Link, pid: number): Promise<void> {
  if (!link.live || pid <= 1) return
  try {
    const { channel } = await link.session(`exec /bin/sh -c 'kill -9 -${pid}'`)
    channel.resume()
    channel.stderr.resume()
    await new Promise<void>((resolve) => channel.once('close', () => resolve()))
  } catch {
    // As above.
  }
}
