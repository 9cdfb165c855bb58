/**
 * The machine at hand, reached by the same protocol as a remote one: scripts go through a persistent shell, in its own process
 * group and with a clean environment, so what holds here holds over ssh. Only files take the short way through node:fs.
 */
import { closeOnce, MusterError, systemClock, systemIds, type Clock, type RunResult } from '@muster/core'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, Socket } from 'node:net'
import { homedir } from 'node:os'
import { Duplex } from 'node:stream'
import { ChannelPool, type ShellSource } from './channel-pool.js'
import type { ShellStreams } from './channel.js'
import { lost } from './lost.js'
import { putFile, readFileFrom } from './files.js'
import type { Target, Transport } from './transport.js'

/** Options of {@link localTransport}; all have defaults. */
export interface LocalOptions {
  /** The environment of every script, exactly. Default: our PATH, HOME and XDG_STATE_HOME, and LC_ALL=C. */
  readonly environment?: Readonly<Record<string, string>>
  /** Channels at most, 8 by default. */
  readonly channels?: number
  /** The shell; `/bin/sh` by default. */
  readonly shell?: readonly [string, ...string[]]
  /** `process.platform`, injected for tests. */
  readonly platform?: NodeJS.Platform
  readonly clock?: Clock
}

/** This host as a machine. Throws TRANSPORT_UNSUPPORTED where the host is not Linux. */
export function localTransport(options: LocalOptions = {}): Transport {
  const { platform = process.platform, channels = 8, shell = ['/bin/sh'], clock = systemClock } = options
  if (platform !== 'linux') throw unsupported(platform)
  const environment = options.environment ?? cleanEnvironment()
  const children = new Set<Duplex>()
  const source: ShellSource = {
    open: async () => shellStreams(await spawned(shell, environment)),
    killGroup: async (pid) => killGroup(pid),
  }
  const pool = new ChannelPool(source, { size: channels, nonce: () => systemIds.token(), clock })
  let closed = false
  const close = closeOnce(async () => {
    closed = true
    for (const child of children) child.destroy()
    await pool.close()
  })
  return {
    run: (script, { stdin, signal } = {}): Promise<RunResult> => pool.run({ script, stdin, signal }),
    put: putFile,
    get: readFileFrom,
    open: async (target, { signal } = {}) => {
      if (closed) throw new MusterError('TRANSPORT_CLOSED', 'the connection to the machine was closed')
      const stream = await opened(target, environment)
      children.add(stream)
      const drop = (): void => {
        stream.destroy()
      }
      signal?.addEventListener('abort', drop, { once: true })
      stream.once('close', () => {
        children.delete(stream)
        signal?.removeEventListener('abort', drop)
      })
      if (closed || signal?.aborted) drop()
      return stream
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** What a login gives, taken from our own environment by an allow-list, so that nothing else of it reaches a job. */
export function localEnvironment(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const names = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LANGUAGE', 'LC_ALL', 'LC_CTYPE', 'TZ', 'TMPDIR']
  const kept = names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]] as const]))
  const { PATH, HOME } = cleanEnvironment(env)
  return { PATH, HOME, ...Object.fromEntries(kept) }
}

function cleanEnvironment(env: NodeJS.ProcessEnv = process.env): {
  PATH: string
  HOME: string
  LC_ALL: string
  XDG_STATE_HOME?: string
} {
  const PATH = env['PATH'] ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  const state = env['XDG_STATE_HOME']
  return {
    PATH,
    HOME: env['HOME'] ?? homedir(),
    LC_ALL: 'C',
    ...(state === undefined ? {} : { XDG_STATE_HOME: state }),
  }
}

async function opened(target: Target, environment: Readonly<Record<string, string>>): Promise<Duplex> {
  if ('socket' in target) {
    const socket = connect(target.socket)
    await once(socket, 'connect').catch((error: unknown) => {
      throw lost(`cannot connect to ${target.socket}`, error)
    })
    return socket
  }
  const child = await spawned(['/bin/sh', '-c', target.command], environment)
  const { stdin, stdout, stderr } = pipes(child)
  stderr.resume()
  const duplex = Duplex.from({ readable: stdout, writable: stdin })
  duplex.once('close', () => killGroup(child.pid ?? 0))
  // Followers come and go with their caller; none of them keeps the process alive.
  child.unref()
  for (const stream of [stdin, stdout, stderr]) stream.unref()
  return duplex
}

async function spawned(
  [command, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
): Promise<ChildProcess> {
  const child = spawn(command, args, { env, cwd: '/', detached: true, stdio: 'pipe' })
  await once(child, 'spawn').catch((error: unknown) => {
    throw lost(`${command} cannot be started`, error)
  })
  return child
}

function shellStreams(child: ChildProcess): ShellStreams {
  const { stdin, stdout, stderr } = pipes(child)
  const all = [stdin, stdout, stderr]
  return {
    stdin,
    stdout,
    stderr,
    hold: (active) => {
      for (const one of [child, ...all])
        if (active) one.ref()
        else one.unref()
    },
    destroy: () => {
      for (const stream of all) stream.destroy()
    },
  }
}

function pipes(child: ChildProcess): { stdin: Socket; stdout: Socket; stderr: Socket } {
  const { stdin, stdout, stderr } = child
  if (stdin instanceof Socket && stdout instanceof Socket && stderr instanceof Socket) return { stdin, stdout, stderr }
  throw lost('it was started without pipes')
}

function killGroup(pid: number): void {
  if (pid <= 1) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    // Gone already is what was asked for.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

function unsupported(platform: string): MusterError {
  const name = platform === 'darwin' ? 'macOS' : platform
  return new MusterError(
    'TRANSPORT_UNSUPPORTED',
    `transport local needs Linux: jobs are supervised through /proc, which ${name} does not have`,
    {
      hint: 'Add a Linux machine that you reach over SSH, for example: { name: gpu1, ssh: you@gpu1 }',
      details: { platform },
    },
  )
}
