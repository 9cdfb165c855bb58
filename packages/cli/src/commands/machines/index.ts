/** `muster machines`: which there are and how they are, and what an operator does with one. */
import type { Command } from 'commander'
import { withMuster } from '../../session.js'
import { JSON_OPTION, type Surroundings } from '../command.js'
import { drain, resume, type DrainFlags } from './drain.js'
import { listMachines } from './list.js'
import { probeMachines } from './probe.js'

interface Flags {
  readonly json?: boolean
}

export function addMachines(program: Command, surroundings: Surroundings): void {
  const { io, exit } = surroundings
  const machines = program
    .command('machines')
    .enablePositionalOptions()
    .description('list the machines: as their leader last saw them, or as they are now')
    .option('--probe', 'ask each of them now; needs no leader')
    .option(...JSON_OPTION)
    .action((flags: Flags & { probe?: boolean }) =>
      withMuster(io, false, async (muster) => {
        if (!flags.probe) return listMachines(io, muster, flags)
        exit(await probeMachines(surroundings, muster, [...muster.cluster.configs.keys()], flags))
      }),
    )
  machines
    .command('probe')
    .description('ask machines now what they have and what they lack; needs no leader')
    .argument('<machine...>')
    .option(...JSON_OPTION)
    .action((names: string[], flags: Flags) =>
      withMuster(io, false, async (muster) => {
        exit(await probeMachines(surroundings, muster, names, flags))
      }),
    )
  machines
    .command('drain')
    .description('place nothing more on a machine and let finish what runs there; undo it with: muster machines resume')
    .argument('<machine>')
    .option('--reason <text>', 'shown to whoever waits for the machine')
    .option('--wait', 'until nothing is left there')
    .option(...JSON_OPTION)
    .action((machine: string, flags: DrainFlags) =>
      withMuster(io, flags.wait ? 'care' : false, (muster) => drain(io, muster, machine, flags)),
    )
  machines
    .command('resume')
    .description('take a drained machine into use again')
    .argument('<machine>')
    .option(...JSON_OPTION)
    .action((machine: string, flags: Flags) => withMuster(io, false, (muster) => resume(io, muster, machine, flags)))
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
