/** A machine in the leader's hands: reached, probed, with its facts and its quarantine as the record holds them. */
import type { JsonValue, MachineAccess, WorkerContext } from '@muster/core'
import type { MachineRecord } from '@muster/job-manager'
import type { Launcher, LauncherHints, Probe } from '../launch/launcher.js'
import { attemptPaths, type AttemptPaths } from '../launch/paths.js'
import type { AttemptKey } from '../launch/launcher.js'
import { isRecentGit } from '../launch/problems.js'
import type { MachineConfig, ReachedMachine } from '../registry.js'
import type { MachineFacts } from '../scheduler/snapshot.js'
import type { Desk } from './desk.js'
import type { Tracked } from './tracked.js'

const SLOW_MS = 1_000

/** See the file's head. Made when the probe succeeded. */
export class ManagedMachine {
  readonly name: string
  readonly launcher: Launcher & LauncherHints
  readonly access: MachineAccess
  readonly #desk: Desk
  readonly #config: MachineConfig
  readonly #avoided = new Map<string, number>()
  #facts: MachineFacts
  #probe: Probe
  #probedAt: number
  #savedAt = -Infinity
  #quarantined: MachineRecord['quarantined']

  constructor(desk: Desk, reached: ReachedMachine, probe: Probe, known: MachineRecord | undefined) {
    const { config, transport, launcher } = reached
    this.name = config.name
    this.launcher = launcher
    this.#config = config
    this.#probe = probe
    this.#facts = factsFrom(config, probe)
    this.#desk = desk
    this.#probedAt = desk.clock.monotonic()
    this.#quarantined = sinceBoot(known?.quarantined ?? {}, probe.bootId)
    this.access = {
      name: config.name,
      stateDir: probe.stateDir,
      isLocal: config.transport === 'local',
      run: (script, options) => transport.run(script, options),
      put: (path, content, options) => transport.put(path, content, options),
      get: (path, options) => transport.get(path, options),
    }
  }

  get facts(): MachineFacts {
    return this.#facts
  }

  get probe(): Probe {
    return this.#probe
  }

  /** Why nothing may be placed here, from what the probe found; null when something may. */
  get unusable(): string | null {
    const fatal = this.probe.problems.find((problem) => problem.fatal)
    return fatal ? `${fatal.text}: ${fatal.mend}` : null
  }

  /** GPUs that may not be handed out now, by UUID, with the reason. */
  get quarantined(): Readonly<Record<string, string>> {
    const now = this.#desk.clock.monotonic()
    const avoided = [...this.#avoided]
      .filter(([, until]) => until > now)
      .map(([uuid]) => [uuid, 'held by another record'] as const)
    const quarantined = Object.entries(this.#quarantined).map(([uuid, entry]) => [uuid, entry.reason] as const)
    return Object.fromEntries([...avoided, ...quarantined])
  }

  /** Leaves GPUs alone for a while: the machine said that another record's attempt holds them. */
  avoid(gpus: readonly string[]): void {
    const until = this.#desk.clock.monotonic() + this.#desk.tuning.gpuProbeMs
    for (const uuid of gpus) this.#avoided.set(uuid, until)
  }

  /** Where an attempt lies on the machine. */
  paths(key: AttemptKey): AttemptPaths {
    return attemptPaths(this.probe.stateDir, key)
  }

  /** What a worker is given beside the machine. A preparation that takes long says so in the job's history. */
  workerContext(t: Tracked, signal: AbortSignal): WorkerContext {
    const { store, clock, logger, actor } = this.#desk
    const began = clock.monotonic()
    const progress = (text: string): void => {
      if (clock.monotonic() - began < SLOW_MS) return
      this.#desk.tasks.run(() => store.note(t.ref.jobId, 'note', actor, { text }))
    }
    return { signal, logger, progress }
  }

  /** Takes GPUs out of use until they are freed by hand or the machine boots again. */
  async quarantine(gpus: readonly string[], jobId: string, reason: string): Promise<void> {
    const entries = gpus.map((uuid) => [uuid, { reason, jobId, bootId: this.probe.bootId }] as const)
    this.#quarantined = { ...this.#quarantined, ...Object.fromEntries(entries) }
    await this.save()
  }

  /** Asks again what it has, now and then: a stranger may have come to a GPU, or gone; a disk fills. */
  async lookAgain(): Promise<void> {
    const { clock, tuning, over, wake } = this.#desk
    const due = this.#facts.gpus.length > 0 ? Math.min(tuning.gpuProbeMs, tuning.probeMs) : tuning.probeMs
    if (clock.monotonic() - this.#probedAt < due) return
    this.#probedAt = clock.monotonic()
    const before = this.#standing
    this.#probe = await this.launcher.probe(over)
    this.#facts = factsFrom(this.#config, this.#probe)
    const changed = this.#standing !== before
    if (changed || clock.monotonic() - this.#savedAt >= tuning.probeMs) await this.save()
    if (changed) wake()
  }

  /** What placements depend on. */
  get #standing(): string {
    return JSON.stringify([this.#facts, this.unusable])
  }

  /** Takes over what somebody changed in the record: GPUs freed by hand. */
  refresh(record: MachineRecord): void {
    this.#quarantined = record.quarantined
  }

  /** Writes the machine, which answers, into the record, where other processes and the next leader read it. */
  async save(): Promise<void> {
    this.#savedAt = this.#desk.clock.monotonic()
    const reason = this.unusable
    const state = reason !== null ? 'suspect' : 'ready'
    const probe: JsonValue = {
      ...this.probe,
      gpus: this.probe.gpus.map((gpu) => ({ ...gpu })),
      problems: this.probe.problems.map((problem) => ({ ...problem })),
      disk: { ...this.probe.disk },
      facts: { ...this.facts },
    }
    await this.#desk.store.saveMachine(this.#desk.epoch, {
      name: this.name,
      state,
      reason,
      probe,
      quarantined: this.#quarantined,
      trouble: null,
    })
  }
}

/** The probe's facts, with what the configuration says instead. */
export function factsFrom(config: MachineConfig, probe: Probe): MachineFacts {
  const allowed = config.gpus ?? 'auto'
  const gpus = probe.gpus.filter((gpu) => allowed === 'auto' || allowed.includes(gpu.uuid))
  return {
    labels: { ...config.labels },
    cpus: config.cpus ?? probe.cpus,
    memoryBytes: config.memoryBytes ?? probe.memoryBytes,
    gpus: gpus.map((gpu) => ({ uuid: gpu.uuid, model: gpu.model, busyWith: [...gpu.strangers] })),
    tools: isRecentGit(probe.gitVersion) ? ['git'] : [],
  }
}

/** A reboot ends every process, so quarantines of an earlier boot are over. */
function sinceBoot(quarantined: MachineRecord['quarantined'], bootId: string): MachineRecord['quarantined'] {
  return Object.fromEntries(
    Object.entries(quarantined).filter(([, entry]) => entry.bootId === null || entry.bootId === bootId),
  )
}
