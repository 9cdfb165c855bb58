/** `muster machines remove`: the undo of add. It changes the configuration only; what runs on the machine is left alone. */
import { MusterError } from '@muster/core'
import { planRemoval, writeChanges, type Muster } from '@muster/sdk'
import type { Io } from '../../io.js'

/** Takes a machine out of the configuration, unless attempts of the record may still be there. */
export async function removeMachine(
  io: Io,
  muster: Muster,
  name: string,
  { yes = false, json = false }: { readonly yes?: boolean; readonly json?: boolean },
): Promise<void> {
  const changes = await planRemoval(name)
  const left = await muster.jobs.store.live({ machine: name })
  if (left.length > 0 && !yes)
    throw new MusterError(
      'ATTEMPT_RUNNING',
      `${name} may still have ${left.length} ${left.length === 1 ? 'attempt' : 'attempts'} of this record`,
      {
        hint: `Wait for them: muster machines drain ${name} --wait. With --yes they are left there, and nobody looks after them.`,
      },
    )
  await writeChanges(changes)
  if (json) await io.json({ type: 'removed', name, files: changes.map(({ path }) => path) })
  else for (const { path } of changes) io.say(`${name} is no longer in ${path}`)
}
