/**
 * The Launcher over a POSIX shell: no agent, no root, no daemon. Each verb is one file beside this one, and one round trip on
 * the control channel; what happens on the machine is the supervisor's text (supervisor/).
 */
import { closeOnce, silentLogger, systemClock, type Clock, type Logger } from '@muster/core'
import type { Transport } from '../machines/transport.js'
import { probeMachine } from './probe.js'
import { fetchAttempt } from './fetch.js'
import { hintSource } from './hints.js'
import { inspectAttempts } from './inspect.js'
import type { Launcher, LauncherHints } from './launcher.js'
import { listAttempts } from './list.js'
import { readLog } from './logs.js'
import { MachineShell } from './machine-shell.js'
import { removeAttempts } from './remove.js'
import { starter } from './start.js'
import { stopAttempt } from './stop.js'

/** Options of {@link shellLauncher}. */
export interface ShellLauncherOptions {
  /** Our directory on the machine, absolute. Default `${XDG_STATE_HOME:-$HOME/.local/state}/muster/machine` there. */
  readonly stateDir?: string
  /** What a login on the machine gives a job: PATH, HOME, USER, LANG; asked at a start. Default: what the transport's scripts have. */
  readonly environment?: Readonly<Record<string, string>> | (() => Promise<Readonly<Record<string, string>>>)
  readonly clock?: Clock
  readonly logger?: Logger
  /** Where the machine tells its boot id; for tests. */
  readonly bootIdPath?: string
  /** Where kills for want of memory are counted (the format of memory.events); for tests. */
  readonly oomEventsPath?: string
}

/** A launcher that also gives hints, and must be closed (its transport is the caller's). */
export interface ShellLauncher extends Launcher, LauncherHints {
  /** The absolute path of our directory on the machine. Throws as `start` does. */
  stateDir(): Promise<string>
  close(): Promise<void>
}

/** Attempts on the machine behind `transport`. */
export function shellLauncher(transport: Transport, options: ShellLauncherOptions = {}): ShellLauncher {
  const { clock = systemClock, logger = silentLogger, environment = {} } = options
  const bootIdPath = options.bootIdPath ?? '/proc/sys/kernel/random/boot_id'
  const login = async (): Promise<Readonly<Record<string, string>>> =>
    typeof environment === 'function' ? environment() : environment
  const shell = new MachineShell(transport, { stateDir: options.stateDir, bootIdPath })
  const startOne = starter(shell, clock, options.oomEventsPath ?? '')
  const hints = hintSource(shell, clock, logger)
  return {
    probe: (signal) => probeMachine(shell, clock, signal),
    start: async (request, signal) => {
      signal?.throwIfAborted()
      return startOne(request, { environment: await login() })
    },
    inspect: async (keys, signal) => {
      const heard = keys.map((key) => hints.heard(key))
      const unheard = keys.filter((_, index) => !heard[index])
      const asked = await inspectAttempts(shell, unheard, clock, signal)
      const answers = asked.values()
      return heard.flatMap((observation) => observation ?? answers.next().value ?? [])
    },
    stop: (key, { graceMs, reason }, signal) => stopAttempt(shell, key, { graceMs, reason, clock }, signal),
    logs: (key, range, signal) => readLog(shell, key, range, signal),
    list: (recordId, epoch, signal) => listAttempts(shell, recordId, epoch, signal),
    fetch: (key, directory, limits, signal) => fetchAttempt(shell, key, directory, limits, signal),
    remove: (keys, signal) => removeAttempts(shell, keys, signal),
    onHint: hints.onHint,
    stateDir: async () => (await shell.facts()).stateDir,
    close: closeOnce(hints.close),
  }
}
