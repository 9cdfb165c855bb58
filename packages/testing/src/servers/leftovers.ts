/**
 * Containers carry the name of the run and of the process that own them, so that what an interrupted run left can be told
 * from what lives. Invariant: only containers with our label are ever touched, and none whose owner is alive.
 */
import { rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { engine } from './engine.js'
import { isAlive, thisOwner } from './owner.js'

const OWNER = 'muster.testing.owner'
const RUN = 'muster.testing.run'
const FILES = 'muster.testing.files'

/** How the directory is called, in the temporary one, where this host keeps what belongs to a container. */
export const FILES_PREFIX = 'muster-test-machine-'

/** The labels of a container that this process starts. The run is named by MUSTER_TEST_ROOT where a runner set it. */
export function labels(files: string): Record<string, string> {
  return { [OWNER]: thisOwner(), [RUN]: runName(), [FILES]: files }
}

/** Removes containers whose owner is dead. Returns their ids. */
export async function removeLeftMachines(): Promise<readonly string[]> {
  return remove(OWNER, (owner) => !isAlive(owner))
}

/** Removes all containers of this run, whoever owns them: for its very end, when every test had its chance. Returns their ids. */
export async function removeMachinesOfRun(): Promise<readonly string[]> {
  return remove(RUN, (run) => run === runName())
}

/** Removes the containers whose files lie in `files`, and the files. */
export async function removeContainersOf(files: string): Promise<void> {
  await remove(FILES, (directory) => directory === files)
  await removeFiles(files)
}

async function remove(label: string, doomed: (value: string) => boolean): Promise<readonly string[]> {
  const docker = await engine()
  const all = await docker.listContainers({ all: true, filters: { label: [label] } })
  const found = all.filter(({ Labels }) => doomed(Labels[label] ?? ''))
  await Promise.all(
    found.map(async ({ Id, Labels }) => {
      // Two runs may find the same leftover: one of them meets a container that is gone or going, which is what it wanted.
      await docker.getContainer(Id).remove({ force: true, v: true }).catch(ignoreGone)
      await removeFiles(Labels[FILES] ?? '')
    }),
  )
  return found.map(({ Id }) => Id)
}

/** A label is only text: nothing goes that is not called as we call it. */
async function removeFiles(directory: string): Promise<void> {
  if (basename(directory).startsWith(FILES_PREFIX)) await rm(directory, { recursive: true, force: true })
}

/** Swallows the engine's word that a container is not there (404) or is just being removed (409). */
function ignoreGone(error: unknown): void {
  const code = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined
  if (code !== 404 && code !== 409) throw error
}

function runName(): string {
  return process.env['MUSTER_TEST_ROOT'] ?? thisOwner()
}
