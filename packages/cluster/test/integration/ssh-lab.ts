/** What the tests of SSH connections need beside a machine: more sshds on it, each with its own settings and log; loggers that keep. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sshTransport, type SshOptions, type SshTransport } from '@muster/cluster'
import { isMusterError, systemClock, type Clock, type Logger, type MusterError } from '@muster/core'
import type { SshMachine } from '@muster/testing/servers'
import { onTestFinished } from 'vitest'
import { optionsOf } from './ssh-way.js'

/** One more sshd on a machine, reached at the machine's own address. */
export interface Door {
  readonly host: string
  readonly port: number
  /** What it has written so far. */
  log(): Promise<string>
}

let ports = 2_200

/** Starts an sshd with these settings, which stand before those of the machine. It ends with the machine. */
export async function openDoor(machine: SshMachine, settings: readonly string[] = []): Promise<Door> {
  const port = (ports += 1)
  const log = `/tmp/sshd-${port}.log`
  const options = [`Port ${port}`, 'PidFile none', 'LogLevel DEBUG2', ...settings].map((line) => `-o '${line}'`)
  const { code, stdout, stderr } = await machine.exec(
    // It goes to the background before it listens.
    `/usr/sbin/sshd -E ${log} ${options.join(' ')} && until grep -q 'Server listening' ${log}; do sleep 0.02; done`,
  )
  if (code !== 0) throw new Error(`sshd: ${stdout}${stderr}`)
  return {
    host: machine.internalHost,
    port,
    log: async () => (await machine.exec(`cat ${log}`)).stdout,
  }
}

/** Words by which sshd shows that somebody said more than hello. */
export const SAID_MORE = /userauth|SSH2_MSG_SERVICE_REQUEST|SSH2_MSG_NEWKEYS received|user ada|Accepted/

/** The way to a door. Its host key is the machine's, by name. */
export function optionsOfDoor(machine: SshMachine, door: Door, more: Partial<SshOptions> = {}): SshOptions {
  return optionsOf(machine, { destination: `${machine.user}@${door.host}:${door.port}`, ...more })
}

/** A line that a logger got. */
export interface Line {
  readonly level: string
  readonly text: string
}

/** A logger whose lines one can read. */
export function keepingLogger(): { readonly logger: Logger; readonly lines: Line[] } {
  const lines: Line[] = []
  const at =
    (level: string) =>
    (facts: object, message = ''): void =>
      void lines.push({ level, text: `${JSON.stringify(facts)} ${message}` })
  const logger: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  return { logger, lines }
}

/** A transport that is closed when the test is over. */
export function transportTo(
  options: SshOptions,
  {
    clock = systemClock,
    logger = keepingLogger().logger,
    random,
  }: { clock?: Clock; logger?: Logger; random?: () => number } = {},
): SshTransport {
  const transport = sshTransport(options, { clock, logger, ...(random && { random }) })
  onTestFinished(() => transport.close())
  return transport
}

/** The error that a call must end with. */
export async function refusalOf(work: Promise<unknown>): Promise<MusterError> {
  try {
    await work
  } catch (error) {
    if (isMusterError(error)) return error
    throw error
  }
  throw new Error('it was not refused')
}

/** The error that connecting with these options must end with. */
export async function refusedConnection(options: SshOptions): Promise<MusterError> {
  return refusalOf(transportTo(options).run('true'))
}

/** A directory for one test. */
export async function room(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'muster-test-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}
