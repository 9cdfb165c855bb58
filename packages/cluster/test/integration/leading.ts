/**
 * A leader of its own over a real record and a real machine whose launcher can be told to lie in one way: that something survives KILL,
 * or that the machine is silent. No test can make a process that resists KILL, nor cut the machine at hand off; all else is real.
 */
import { jobSpec, MusterError, silentLogger, systemClock, systemIds, type SubmitOptions } from '@muster/core'
import { openStore, type JobStore } from '@muster/job-manager'
import { join } from 'node:path'
import { Leader } from '../../dist/leader/leader.js'
import { MachineRegistry, type ReachedMachine } from '../../dist/registry.js'
import { LEASE, script, testWorker, type World } from './world.js'

const tools = { clock: systemClock, ids: systemIds, logger: silentLogger }

/** Machines whose launcher lies while it is told so. */
export class FaultyRegistry extends MachineRegistry {
  /** What a stop says survives. */
  survivors: readonly number[] = []
  silent = false
  /** What the next calls of remove do instead of removing. */
  readonly removals: (() => never)[] = []

  override reach(name: string): ReachedMachine {
    const reached = super.reach(name)
    const { launcher, transport } = reached
    const heard = (): void => {
      if (this.silent) throw new MusterError('TRANSPORT_LOST', 'the machine is silent')
    }
    return {
      ...reached,
      transport: { ...transport, run: async (...args) => (heard(), transport.run(...args)) },
      launcher: {
        ...launcher,
        probe: async (...args) => (heard(), launcher.probe(...args)),
        list: async (...args) => (heard(), launcher.list(...args)),
        inspect: async (...args) => (heard(), launcher.inspect(...args)),
        remove: async (...args) => (this.removals.shift()?.(), launcher.remove(...args)),
        stop: async (...args) => {
          heard()
          const outcome = await launcher.stop(...args)
          return this.survivors.length > 0 ? { left: 'stuck', pids: this.survivors } : outcome
        },
      },
    }
  }
}

/** A record that is led in this process. */
export class Leading {
  readonly store: JobStore
  readonly registry: FaultyRegistry
  readonly #leader: Leader

  private constructor(store: JobStore, registry: FaultyRegistry, leader: Leader) {
    this.store = store
    this.registry = registry
    this.#leader = leader
  }

  static async over(world: World): Promise<Leading> {
    const store = await openStore(join(world.directory, 'jobs.db'), { ...tools, lease: LEASE })
    const registry = new FaultyRegistry(world.machines, tools)
    const leader = new Leader({
      store,
      registry,
      workers: new Map([['test', testWorker]]),
      filesDirectory: join(world.directory, 'files'),
      host: 'here',
      holder: 'test',
      caretaker: false,
      ...tools,
      tuning: { stuckRetryMs: 200, inspectMs: 100, backoffMs: 50, backoffMaxMs: 200, idleMs: 200 },
      announce: () => undefined,
      hear: () => () => undefined,
    })
    return new Leading(store, registry, leader)
  }

  async submit(text: string, options: SubmitOptions = {}): Promise<string> {
    const { worker, input } = script(text)
    const spec = jobSpec({ worker, input }, { grace: 100, ...options })
    return (await this.store.insert({ id: systemIds.next(), spec, owner: 'me', payload: input, actor: 'user:me' })).job
      .id
  }

  async close(): Promise<void> {
    await this.#leader.close()
    await this.registry.close()
    await this.store.close()
  }
}
