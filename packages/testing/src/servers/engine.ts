/** The container engine of this host, reached through testcontainers, which knows where every kind of it listens. */
import { MusterError } from '@muster/core'
import { getContainerRuntimeClient, type ContainerRuntimeClient } from 'testcontainers'

/** The engine's own interface: what testcontainers has no word for (restart, pause, import) is asked of it directly. */
export type Engine = ContainerRuntimeClient['container']['dockerode']

/** One container in the engine. */
export type EngineContainer = ReturnType<Engine['getContainer']>

/**
 * The engine.
 * @throws MusterError `MACHINE_UNUSABLE` when none answers
 */
export async function engine(): Promise<Engine> {
  try {
    return (await getContainerRuntimeClient()).container.dockerode
  } catch (cause) {
    throw new MusterError('MACHINE_UNUSABLE', 'no container engine answers on this host', {
      hint: 'Start one. On Debian, as root: apt-get install docker.io && dockerd',
      cause,
    })
  }
}
