/** `muster machines`: the machines as their leader sees them; `free` lifts the quarantine of a GPU. */
import { formatSize } from '@muster/core'
import { factsOf, type Muster } from '@muster/sdk'
import type { Command } from 'commander'
import type { Io } from '../io.js'
import { oneLine, table } from '../render/table.js'
import { withMuster } from '../session.js'
import { JSON_OPTION, type Surroundings } from './command.js'

interface Flags {
  readonly json?: boolean
}

export function addMachines(program: Command, { io }: Surroundings): void {
  const machines = program
    .command('machines')
    .description('list the machines, as the leader last saw them')
    .option(...JSON_OPTION)
    .action((flags: Flags) => withMuster(io, false, (muster) => list(io, muster, flags)))
  machines
    .command('free')
    .description('release GPUs that were quarantined because something on them survived')
    .argument('<machine>')
    .option('--gpu <uuid>', 'only this one')
    .option(...JSON_OPTION)
    .action((machine: string, flags: Flags & { gpu?: string }) =>
      withMuster(io, false, async (muster) => {
        const freed = await muster.cluster.free(machine, flags.gpu)
        for (const gpu of freed) await (flags.json ? io.json({ type: 'freed', machine, gpu }) : io.line(gpu))
        if (freed.length === 0) io.say(`nothing is quarantined on ${machine}`)
      }),
    )
}

async function list(io: Io, muster: Muster, { json }: Flags): Promise<void> {
  const machines = await muster.cluster.machines()
  if (json) for (const machine of machines) await io.json({ type: 'machine', ...machine })
  else if (machines.length === 0)
    io.say('no leader has looked at a machine of this record yet; start one with: muster up')
  if (json || machines.length === 0) return
  const rows = machines.map((machine) => {
    const quarantined = Object.entries(machine.quarantined).map(([gpu, { reason }]) => `${gpu} quarantined: ${reason}`)
    const why = [machine.reason ?? '', ...quarantined].filter((text) => text !== '').join('; ')
    const facts = factsOf(machine)
    const has = facts ? [String(facts.cpus), formatSize(facts.memoryBytes), String(facts.gpus.length)] : ['?', '?', '?']
    return [machine.name, machine.state, ...has, new Date(machine.updatedAt).toISOString().slice(0, 19), oneLine(why)]
  })
  for (const line of table([['MACHINE', 'STATE', 'CPUS', 'MEMORY', 'GPUS', 'SEEN', 'WHY'], ...rows], io.width))
    await io.line(line)
}
