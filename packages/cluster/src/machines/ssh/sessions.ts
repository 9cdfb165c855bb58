/**
 * Sessions on the machine: what its login shell, whatever it is, is told to become. The words hold nothing that dash, bash,
 * fish, tcsh or busybox read differently: one line, single quotes around, no backslash and no `!` within.
 */
import type { Clock } from '@muster/core'
import { MusterError } from '@muster/core'
import type { ClientChannel } from 'ssh2'
import type { ShellStreams } from '../channel.js'
import type { Connection } from './connection.js'

/** Starts a program with what a script may rely on, and nothing else of the login's environment. */
export const CLEAN = `env -i PATH="$PATH" HOME="$HOME" LC_ALL=C \${XDG_STATE_HOME:+"XDG_STATE_HOME=$XDG_STATE_HOME"}`
/** A shell with a clean environment, reading scripts from its standard input. */
export const SHELL = `exec /bin/sh -c 'cd /; exec ${CLEAN} /bin/sh'`

const NAMES = 'PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_[A-Z]*|TZ|TMPDIR'
const MARK = 'muster-login'
const LOGIN = `exec /bin/sh -c 'echo; echo ${MARK}; env | grep -E "^(${NAMES})="; grep -Ehi "^ *MaxSessions" /etc/ssh/sshd_config.d/*.conf /etc/ssh/sshd_config 2>/dev/null; echo ${MARK}'`
/** A profile may be slow; one that does not end is as good as none. */
const LOGIN_MS = 30_000

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

/** Asks a login for its environment. Throws MACHINE_UNUSABLE where the login shell does not come to an end. */
export async function askLogin(connection: Connection, clock: Clock): Promise<Login> {
  const said = await output(await connection.exec(LOGIN), connection, clock)
  const [, between] = said.split(`\n${MARK}\n`)
  if (between === undefined)
    throw new MusterError(
      'MACHINE_UNUSABLE',
      `the login shell did not run a command; it said: ${said.trim().slice(-300)}`,
      {
        hint: 'Try: ssh HOST true. A forced command, or a shell such as nologin, cannot run jobs.',
      },
    )
  const lines = between.split('\n')
  const pairs = lines.flatMap((line) => {
    const match = /^([A-Z_]+)=(.*)$/.exec(line)
    return match ? [[match[1] ?? '', match[2] ?? ''] as const] : []
  })
  const limit = lines.map((line) => /^\s*MaxSessions\s+(\d+)/i.exec(line)?.[1]).find((found) => found !== undefined)
  return { environment: Object.fromEntries(pairs), maxSessions: limit === undefined ? null : Number(limit) }
}

/** Everything a session prints until it ends; what it prints to standard error is for nobody. */
async function output(channel: ClientChannel, connection: Connection, clock: Clock): Promise<string> {
  const chunks: Buffer[] = []
  channel.on('data', (chunk: Buffer) => chunks.push(chunk))
  channel.stderr.resume()
  channel.end()
  connection.hold(true)
  let late = false
  const forget = clock.after(LOGIN_MS, () => {
    late = true
    channel.destroy()
  })
  try {
    await new Promise<void>((resolve) => {
      channel.once('close', resolve)
      // A shell that hangs does not confirm the end of its channel.
      clock.after(LOGIN_MS + 100, resolve)
    })
  } finally {
    forget()
    connection.hold(false)
  }
  if (connection.ended) throw connection.ended
  if (late)
    throw new MusterError('MACHINE_UNUSABLE', `the login shell was not ready within ${LOGIN_MS / 1000} s`, {
      hint: 'Its profile (~/.bashrc, config.fish, .tcshrc) hangs or waits for input; leave early where no terminal is: [ -t 0 ] || return',
    })
  return Buffer.concat(chunks).toString()
}
