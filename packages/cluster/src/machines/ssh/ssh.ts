/**
 * Transport ssh: one connection and a few persistent shells per machine. Everything of muster goes through those shells, so the
 * login shell and its profile are met once per channel and never again.
 */
import {
  abortReason,
  closeOnce,
  ENOUGH,
  MusterError,
  systemIds,
  TaskGroup,
  type Clock,
  type RunResult,
} from '@muster/core'
import { nextTick } from 'node:process'
import type { Duplex } from 'node:stream'
import { ChannelPool } from '../channel-pool.js'
import type { Target, Transport } from '../transport.js'
import type { Connection } from './connection.js'
import { inTime } from './in-time.js'
import { killer } from './killer.js'
import { Link, type LinkTools } from './link.js'
import type { SshOptions } from './options.js'
import { getRemote, putRemote, type ScriptRunner } from './remote-files.js'
import { askLogin, SHELL, shellStreams, type Login } from './sessions.js'
import { commandStream, commandWords, socketStream } from './streams.js'

/** A transport that also knows the login environment of its machine. */
export interface SshTransport extends Transport {
  /** What a login sets there, by an allow-list (PATH, HOME, USER, LANG, …). Asked once per connection. Throws what connecting throws. */
  login(): Promise<Readonly<Record<string, string>>>
  /** How many sessions its sshd allows on a connection; null where that cannot be read, or nobody has asked yet. */
  sessionLimit(): number | null
}

/** Shells per machine: one slow script does not hold up the observation of everything else. */
const CHANNELS = 4
/** How long close() waits for what runs there to be killed: a machine that does not answer holds nobody up. */
const TIDY_MS = 5_000

/** Opens nothing yet: the connection comes about at the first use. Whoever made it closes it. */
export function sshTransport(options: SshOptions, tools: LinkTools): SshTransport {
  const { clock, logger } = tools
  const link = new Link(options, tools)
  const nonce = (): string => systemIds.token()
  const streams = new Set<Duplex>()
  const chores = new TaskGroup((error) => logger.debug({ err: error }, 'a machine could not be tidied up'))
  const killGroup = killer(link, clock)
  const logins = new Logins(link, clock)
  let isOver = false

  const pool = new ChannelPool(
    {
      open: async () => {
        // First of all, and alone: a machine may allow one session only.
        await logins.ask()
        const { channel, connection } = await link.session(SHELL, 'shell')
        return shellStreams(channel, connection)
      },
      killGroup,
    },
    { size: CHANNELS, nonce, clock },
  )
  const runner: ScriptRunner = {
    run: (request) => pool.run(request),
    quiet: () => pool.quiet(),
    later: (chore) => chores.run(chore),
  }

  const opened = async (target: Target, signal: AbortSignal | undefined): Promise<Duplex> => {
    // The shells come first where sessions are few.
    await pool.run({ script: ':', signal })
    if ('socket' in target) {
      const connection = await link.connection()
      return socketStream(await connection.socket(target.socket), connection)
    }
    const mark = nonce()
    const { channel, connection } = await link.session(commandWords(target.command, mark), 'stream')
    const { stream, pid } = commandStream(channel, connection, mark)
    stream.once('close', () => {
      if (!stream.readableEnded) chores.run(async () => killGroup(await pid))
    })
    return stream
  }

  const open = async (target: Target, signal: AbortSignal | undefined): Promise<Duplex> => {
    if (isOver) throw closed()
    const opening = opened(target, signal)
    const stream = await (signal ? inTime(opening, signal, () => abortReason(signal)) : opening).catch(
      (error: unknown) => {
        // It may still come, and nobody waits for it any more.
        chores.run(() => opening.then(drop).catch(() => undefined))
        throw isOver ? closed(error) : error
      },
    )
    streams.add(stream)
    const abort = (): void => void stream.destroy()
    signal?.addEventListener('abort', abort, { once: true })
    stream.once('close', () => {
      streams.delete(stream)
      signal?.removeEventListener('abort', abort)
    })
    if (isOver || signal?.aborted) abort()
    return stream
  }

  const close = closeOnce(async () => {
    isOver = true
    await Promise.all([...streams].map(drop))
    await atMost(TIDY_MS, clock, Promise.all([pool.close(), chores.settled()]))
    await link.close()
  })
  return {
    run: (script, { stdin, signal } = {}): Promise<RunResult> => pool.run({ script, stdin, signal }),
    put: (path, content, given = {}) => putRemote(runner, path, content, { ...given, token: nonce() }),
    get: (path, given) => getRemote(runner, path, given),
    open: (target, { signal } = {}) => open(target, signal),
    login: async () => (await logins.ask()).environment,
    sessionLimit: () => logins.sessionLimit,
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** What the login says, asked once per connection: after a reboot or an update the machine may say something else. */
class Logins {
  readonly #link: Link
  readonly #clock: Clock
  #asked: { readonly of: Connection; readonly login: Promise<Login> } | undefined
  sessionLimit: number | null = null

  constructor(link: Link, clock: Clock) {
    this.#link = link
    this.#clock = clock
  }

  async ask(): Promise<Login> {
    const connection = await this.#link.connection()
    if (this.#asked?.of !== connection) this.#asked = { of: connection, login: askLogin(connection, this.#clock) }
    const { login } = this.#asked
    try {
      const found = await login
      this.sessionLimit = found.maxSessions
      return found
    } catch (error) {
      // A failure is not remembered: the next call asks again.
      if (this.#asked?.login === login) this.#asked = undefined
      throw error
    }
  }
}

/** Destroys a stream, or finds it destroyed; resolves when it has said so (`closed` comes before the event): the killing has begun. */
function drop(stream: Duplex): Promise<void> {
  stream.destroy()
  return new Promise((resolve) => nextTick(resolve))
}

/** Meanwhile the process stays alive, as the connection does not keep it: it would end in the middle of its own close. */
async function atMost(ms: number, clock: Clock, work: Promise<unknown>): Promise<void> {
  const enough = new AbortController()
  const late = clock.sleep(ms, { signal: enough.signal }).catch(() => undefined)
  await Promise.race([work, late]).finally(() => enough.abort(ENOUGH))
}

function closed(cause?: unknown): MusterError {
  const options = cause === undefined ? {} : { cause }
  return new MusterError('TRANSPORT_CLOSED', 'the connection to the machine was closed', options)
}
