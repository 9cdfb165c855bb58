/**
 * A duplex stream of a remote command or socket. What ssh2 shows as an end of output when the connection is cut is an error
 * here: a stream that ends has ended on the machine.
 */
import { Duplex } from 'node:stream'
import type { ClientChannel } from 'ssh2'
import { lost } from '../lost.js'
import { exitOf, type Connection } from './connection.js'
import { CLEAN } from './sessions.js'

/** A command's stream, with the process id of its shell, which leads a process group of its own. */
export interface CommandStream {
  readonly stream: Duplex
  /** 0 where the session ended before the command began. */
  readonly pid: Promise<number>
}

/**
 * The words for a login shell, whatever it is, to become `command` run by /bin/sh in a clean environment. The command travels
 * as octal escapes, because shells do not agree about quotes; it says `mark` and its process id before anything else.
 */
export function commandWords(command: string, mark: string): string {
  const bytes = Buffer.from(`echo; echo ${mark} $$\n${command}`)
  const text = [...bytes]
    .map((byte) => {
      const character = String.fromCharCode(byte)
      return /[A-Za-z0-9 _./:=,-]/.test(character) ? character : `\\0${byte.toString(8).padStart(3, '0')}`
    })
    .join('')
  return `exec /bin/sh -c 'cd /; exec ${CLEAN} /bin/sh -c "$(printf %b "${text}")"'`
}

/** The stream of a session that runs {@link commandWords}: it ends only when the machine said that the command did. */
export function commandStream(channel: ClientChannel, connection: Connection, mark: string): CommandStream {
  channel.stderr.resume()
  let said: (pid: number) => void = () => undefined
  const pid = new Promise<number>((resolve) => (said = resolve))
  channel.once('close', () => said(0))
  const whyCut = (): Error | undefined =>
    connection.ended ?? (exitOf(channel) ? undefined : lost('the session was cut'))
  const drop = (): void => {
    // Who drops it before it began must not lose sight of what is about to begin: its process id comes over this channel.
    channel.resume()
    void pid.then(() => channel.destroy())
  }
  return { stream: over(channel, { whyCut, drop, filtered: afterMark(mark, said) }), pid }
}

/** The stream of a socket there. */
export function socketStream(channel: ClientChannel, connection: Connection): Duplex {
  const drop = (): void => void channel.destroy()
  return over(channel, { whyCut: () => connection.ended, drop, filtered: (chunk) => chunk })
}

/** Lets pass what comes after the mark: a profile may have printed before it. */
function afterMark(mark: string, said: (pid: number) => void): (chunk: Buffer) => Buffer {
  let held: Buffer | undefined = Buffer.alloc(0)
  return (chunk) => {
    if (!held) return chunk
    held = Buffer.concat([held, chunk])
    const at = held.indexOf(`\n${mark} `)
    const newline = at < 0 ? -1 : held.indexOf(10, at + 1)
    if (newline < 0) return Buffer.alloc(0)
    said(Number(held.toString('latin1', at + mark.length + 2, newline)))
    const rest = held.subarray(newline + 1)
    held = undefined
    return rest
  }
}

interface Over {
  /** Asked when the channel has closed; undefined: it ended on the machine. */
  whyCut(): Error | undefined
  /** Ends the channel. */
  drop(): void
  filtered(chunk: Buffer): Buffer
}

function over(channel: ClientChannel, { whyCut, drop, filtered }: Over): Duplex {
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
      drop()
      done(error)
    },
  })
  channel.on('data', (chunk: Buffer) => {
    const bytes = filtered(chunk)
    if (bytes.length > 0 && !duplex.destroyed && !duplex.push(bytes)) channel.pause()
  })
  channel.on('error', () => undefined)
  channel.once('close', () => {
    const cut = whyCut()
    if (cut) duplex.destroy(cut)
    else duplex.push(null)
  })
  return duplex
}
