/**
 * A duplex stream of a remote command or socket. What ssh2 shows as an end of output when the connection is cut is an error
 * here: a stream that ends has ended on the machine.
 */
import { Duplex } from 'node:stream'
import type { ClientChannel } from 'ssh2'
import { lost } from '../lost.js'
import type { Connection } from './connection.js'
import { CLEAN } from './sessions.js'

/** The stream of a session that runs a command: it ends only when the machine said that the command did. */
export function commandStream(channel: ClientChannel, connection: Connection): Duplex {
  const end = { seen: false }
  channel.once('exit', () => (end.seen = true))
  return over(channel, () => connection.ended ?? (end.seen ? undefined : lost('the session was cut')))
}

/** The stream of a socket there. */
export function socketStream(channel: ClientChannel, connection: Connection): Duplex {
  return over(channel, () => connection.ended)
}

/**
 * The words for a login shell, whatever it is, to become `command` run by /bin/sh in a clean environment. The command travels
 * as octal escapes, because shells do not agree about quotes; its process id comes first on standard error.
 */
export function commandWords(command: string): string {
  const bytes = Buffer.from(`echo $$ >&2\n${command}`)
  const text = [...bytes]
    .map((byte) => {
      const character = String.fromCharCode(byte)
      return /[A-Za-z0-9 _./:=,-]/.test(character) ? character : `\\0${byte.toString(8).padStart(3, '0')}`
    })
    .join('')
  return `exec /bin/sh -c 'cd /; exec ${CLEAN} /bin/sh -c "$(printf %b "${text}")"'`
}

/** The process id that {@link commandWords} makes a command say first; undefined where it ended before. */
export function firstPid(channel: ClientChannel): Promise<number | undefined> {
  return new Promise((resolve) => {
    let said = ''
    channel.stderr.on('data', (chunk: Buffer) => {
      if (said.length < 4096) said += chunk.toString('latin1')
      // A profile may have printed before.
      const pid = /^(\d+)$/m.exec(said.slice(0, said.lastIndexOf('\n') + 1))?.[1]
      if (pid !== undefined) resolve(Number(pid))
    })
    channel.once('close', () => resolve(undefined))
  })
}

function over(channel: ClientChannel, whyCut: () => Error | undefined): Duplex {
  const duplex = new Duplex({
    read: () => {
      channel.resume()
    },
    write: (chunk: Buffer, _encoding, done) => {
      if (channel.write(chunk)) done()
      else channel.once('drain', () => done())
    },
    final: (done) => {
      channel.end()
      done()
    },
    destroy: (error, done) => {
      channel.destroy()
      done(error)
    },
  })
  channel.on('data', (chunk: Buffer) => {
    if (!duplex.push(chunk)) channel.pause()
  })
  channel.on('error', () => undefined)
  channel.once('close', () => {
    const cut = whyCut()
    if (cut) duplex.destroy(cut)
    else duplex.push(null)
  })
  return duplex
}
