/**
 * Containers carry the name of the run and of the process that own them, so that what an interrupted run left can be told
 * from what lives. Invariant: only containers with our label are ever touched, and none whose owner is alive.
 */
import { engine } from './engine.js'
import { isAlive, thisOwner } from './owner.js'

const OWNER = 'muster.testing.owner'
const RUN = 'muster.testing.run'

/** The labels of a container that this process starts. The run is named by MUSTER_TEST_ROOT where a runner set it. */
export function labels(): Record<string, string> {
  return { [OWNER]: thisOwner(), [RUN]: runName() }
}

/** Removes containers whose owner is dead. Returns their ids. */
export async function removeLeftMachines(): Promise<readonly string[]> {
  return remove(OWNER, (owner) => !isAlive(owner))
}

/** Removes all containers of this run, whoever owns them: for its very end, when every test had its chance. Returns their ids. */
export async function removeMachinesOfRun(): Promise<readonly string[]> {
  return remove(RUN, (run) => run === runName())
}

async function remove(label: string, doomed: (value: string) => boolean): Promise<readonly string[]> {
  const docker = await engine()
  const all = await docker.listContainers({ all: true, filters: { label: [label] } })
  const ids = all.filter(({ Labels }) => doomed(Labels[label] ?? '')).map(({ Id }) => Id)
  // Two runs may find the same leftover: one of them meets a container that is gone or going, which is what it wanted.
  await Promise.all(ids.map((id) => docker.getContainer(id).remove({ force: true, v: true }).catch(ignoreGone)))
  return ids
}

/** Swallows the engine's word that a container is not there (404) or is just being removed (409). */
export function ignoreGone(error: unknown): void {
  const code = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined
  if (code !== 404 && code !== 409) throw error
}

function runName(): string {
  return process.env['MUSTER_TEST_ROOT'] ?? thisOwner()
}
