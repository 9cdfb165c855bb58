/**
 * Sessions on the machine: what its login shell, whatever it is, is told to become. The words hold nothing that dash, bash,
 * fish, tcsh or busybox read differently: one line, single quotes around, no backslash and no `!` within.
 */
import type { Clock } from '@muster/core'
import { MusterError } from '@muster/core'
import type { ClientChannel } from 'ssh2'
import type { ShellStreams } from '../channel.js'
import { exitOf, type Connection } from './connection.js'
import { said } from './errors.js'

/** Starts a program with what a script may rely on, and nothing else of the login's environment. */
export const CLEAN = `env -i PATH="$PATH" HOME="$HOME" LC_ALL=C \${XDG_STATE_HOME:+"XDG_STATE_HOME=$XDG_STATE_HOME"}`
/** A shell with a clean environment, reading scripts from its standard input. */
export const SHELL = `exec /bin/sh -c 'cd /; exec ${CLEAN} /bin/sh'`

const NAMES = 'PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_[A-Z]*|TZ|TMPDIR'
const MARK = 'muster-login'
const LOGIN = `exec /bin/sh -c 'echo; echo ${MARK}; env | grep -E "^(${NAMES})="; grep -Ehi "^ *MaxSessions" /etc/ssh/sshd_config.d/*.conf /etc/ssh/sshd_config 2>/dev/null; echo ${MARK}'`
/** A profile may be slow; one that does not end is as good as none. */
const LOGIN_MS = 30_000
const MAX_OUTPUT = 1 << 18

/** The streams of a shell on the machine. */
export function shellStreams(channel: ClientChannel, connection: Connection): ShellStreams {
  return {
    stdin: channel,
    stdout: channel,
    stderr: channel.stderr,
    hold: (active) => connection.hold(active),
    destroy: () => channel.destroy(),
  }
}

/** What a login gives on the machine. */
export interface Login {
  readonly environment: Readonly<Record<string, string>>
  /** As far as its sshd_config may be read; null: not known. */
  readonly maxSessions: number | null
}

/** Asks a login for its environment. Throws MACHINE_UNUSABLE where the login shell does not run a command, or does not end. */
export async function askLogin(connection: Connection, clock: Clock): Promise<Login> {
  const { stdout, stderr, code } = await output(await connection.exec(LOGIN), connection, clock)
  const [, between, after] = stdout.split(`\n${MARK}\n`)
  if (between === undefined || after === undefined) throw noLogin(code, [stdout, stderr])
  const lines = between.split('\n')
  const pairs = lines.flatMap((line) => {
    const match = /^([A-Z_]+)=(.*)$/.exec(line)
    return match ? [[match[1] ?? '', match[2] ?? ''] as const] : []
  })
  const limit = lines.map((line) => /^\s*MaxSessions\s+(\d+)/i.exec(line)?.[1]).find((found) => found !== undefined)
  return { environment: Object.fromEntries(pairs), maxSessions: limit === undefined ? null : Number(limit) }
}

function noLogin(code: number | null, outputs: readonly string[]): MusterError {
  const words = outputs
    .map((text) => said(text.trim().slice(-300)))
    .filter((text) => text !== '')
    .join(' / ')
  const ended = code === null ? '' : `, but ended with ${code}`
  return new MusterError(
    'MACHINE_UNUSABLE',
    `the login shell did not run a command${ended}${words && `; it said: ${words}`}`,
    {
      hint: 'Try: ssh HOST true. A profile that ends the shell, a forced command, or a shell such as nologin cannot run jobs; in a profile, leave early where no terminal is: [ -t 0 ] || return',
    },
  )
}

interface Output {
  readonly stdout: string
  readonly stderr: string
  /** Null where it was killed. */
  readonly code: number | null
}

/** Everything a session prints until it ends. A profile may print without an end: only the last of it is kept. */
async function output(channel: ClientChannel, connection: Connection, clock: Clock): Promise<Output> {
  const kept = { stdout: '', stderr: '' }
  const keep = (name: keyof typeof kept) => (chunk: Buffer) =>
    (kept[name] = (kept[name] + chunk.toString()).slice(-MAX_OUTPUT))
  channel.on('data', keep('stdout'))
  channel.stderr.on('data', keep('stderr'))
  channel.end()
  connection.hold(true)
  let isLate = false
  let forget: () => void = () => undefined
  try {
    await new Promise<void>((resolve) => {
      channel.once('close', resolve)
      forget = clock.after(LOGIN_MS, () => {
        // Not waited for: a shell that hangs does not confirm the end of its channel.
        isLate = true
        channel.destroy()
        resolve()
      })
    })
  } finally {
    forget()
    connection.hold(false)
  }
  if (connection.ended) throw connection.ended
  if (isLate)
    throw new MusterError('MACHINE_UNUSABLE', `the login shell was not ready within ${LOGIN_MS / 1000} s`, {
      hint: 'Its profile (~/.bashrc, config.fish, .tcshrc) hangs or waits for input; leave early where no terminal is: [ -t 0 ] || return',
    })
  return { ...kept, code: exitOf(channel)?.code ?? null }
}
