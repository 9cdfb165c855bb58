/**
 * Requests to the supervisor's functions on one machine. The first one makes the state directory ready, learns what the machine
 * offers and brings the script; all others are one round trip. A script or directory that vanished answers 44 and is brought
 * again.
 */
import { MusterError, quote, type ByteSource, type RunResult } from '@muster/core'
import type { Transport } from '../machines/transport.js'
import { factsScript, parseFacts, type MachineFacts } from './facts.js'
import { SUPERVISOR, SUPERVISOR_HASH } from './supervisor/index.js'

const MISSING = 44

/** What a request may carry. */
export interface AskOptions {
  readonly stdin?: ByteSource | undefined
  readonly signal?: AbortSignal | undefined
}

/** See the head of this file. */
export class MachineShell {
  readonly transport: Transport
  readonly #stateDir: string | undefined
  readonly #bootIdPath: string
  #facts: Promise<MachineFacts> | undefined

  constructor(transport: Transport, options: { stateDir?: string | undefined; bootIdPath: string }) {
    this.transport = transport
    this.#stateDir = options.stateDir
    this.#bootIdPath = options.bootIdPath
  }

  /** What the machine offers, asked once. Throws STATE_DIR_UNSAFE, MACHINE_UNUSABLE or TRANSPORT_LOST. */
  facts(): Promise<MachineFacts> {
    // A failure is not remembered: the next call asks again.
    return (this.#facts ??= this.#prepare().catch((error: unknown) => {
      this.#facts = undefined
      throw error
    }))
  }

  /** Runs `script` in `attempts/` with the supervisor's functions. Throws MACHINE_UNUSABLE when the shell itself fails. */
  async ask(script: (facts: MachineFacts) => string, options: AskOptions = {}): Promise<RunResult> {
    for (let tries = 0; ; tries += 1) {
      const facts = await this.facts()
      const result = await this.transport.run(this.#prelude(facts) + script(facts), options)
      if (result.code === 0) return result
      if (result.code !== MISSING || tries > 1) throw failed(result)
      this.#facts = undefined
    }
  }

  async #prepare(): Promise<MachineFacts> {
    const result = await this.transport.run(factsScript(this.#stateDir, SUPERVISOR_HASH))
    if (result.code !== 0) throw failed(result)
    const { facts, hasSupervisor } = parseFacts(result.stdout.toString())
    if (!hasSupervisor) {
      const bin = `${facts.stateDir}/bin/${SUPERVISOR_HASH}`
      await this.transport.put(`${bin}/run`, SUPERVISOR.run)
      await this.transport.put(`${bin}/ask`, SUPERVISOR.ask)
    }
    return facts
  }

  #prelude(facts: MachineFacts): string {
    return (
      `cd ${quote(`${facts.stateDir}/attempts`)} 2>/dev/null && [ -f ../bin/${SUPERVISOR_HASH}/ask ] || exit ${MISSING}\n` +
      `read -r m_boot m_x <${quote(this.#bootIdPath)}\n${toolLines(facts)}` +
      `m_self=../bin/${SUPERVISOR_HASH}/ask\n. $m_self\n`
    )
  }
}

/** The tools of the machine as the supervisor's variables. */
export function toolLines(facts: MachineFacts): string {
  const { perl, flock, setsid, setsidCall, limit, tells } = facts
  const values = {
    m_perl: perl,
    m_flock: flock,
    m_session: setsid,
    m_setsid: setsidCall,
    m_ulimit: limit,
    m_tells: tells,
  }
  return Object.entries(values)
    .map(([name, value]) => `${name}=${quote(value)}\n`)
    .join('')
}

function failed({ code, signal, stderr }: RunResult): MusterError {
  const said = stderr.toString().trim().slice(-500)
  return new MusterError(
    'MACHINE_UNUSABLE',
    `the machine's shell ended with ${signal ?? code}${said ? `: ${said}` : ''}`,
    {
      hint: 'The message holds what the machine said.',
    },
  )
}
