/** `muster machines probe`: what machines have and lack, asked now. One that does not answer holds up no other. */
import type { MachineLook, Muster } from '@muster/sdk'
import type { Surroundings } from '../command.js'
import { lookLines } from '../../render/machine.js'
import { destinationOf } from './list.js'

/** Asks these machines at once, prints what each says, reports what failed. Gives the exit code. */
export async function probeMachines(
  { io, report }: Surroundings,
  muster: Muster,
  names: readonly string[],
  { json = false }: { readonly json?: boolean },
): Promise<number> {
  const asked = names.map(async (name): Promise<MachineLook | { readonly error: unknown }> => {
    try {
      return await io.patiently(`asking ${name}`, () => muster.cluster.probe(name, { signal: io.unread }))
    } catch (error) {
      return { error }
    }
  })
  let code = 0
  for (const [index, look] of (await Promise.all(asked)).entries()) {
    const name = names[index] ?? ''
    if ('error' in look) {
      code = 1
      if (!json) await io.line(`${name}  could not be asked`)
      report(look.error, json)
      continue
    }
    if (json) await io.json({ type: 'probe', machine: name, facts: look.facts, probe: look.probe })
    else for (const line of lookLines(look, destinationOf(muster, name))) await io.line(line)
    if (look.probe.problems.some(({ fatal }) => fatal)) code = 1
  }
  return code
}
