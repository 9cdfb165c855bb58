/** `muster machines`: which there are and how they are, and what an operator does with one. */
import type { Command } from 'commander'
import { withMuster } from '../../session.js'
import { amount, pair } from '../../job-options.js'
import { JSON_OPTION, type Surroundings } from '../command.js'
import { addMachine, type AddFlags } from './add.js'
import { drain, resume, type DrainFlags } from './drain.js'
import { listMachines } from './list.js'
import { probeMachines } from './probe.js'
import { removeMachine } from './remove.js'

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
    .command('add')
    .description('add a machine that is reached over SSH: its host key, a look at it, the configuration, a first job')
    .argument('<name>', 'what it is called here')
    .argument('<destination>', 'user@host, user@host:port, or a Host of your ssh configuration')
    .option('--label <name=value>', 'what jobs may ask for; repeatable', pair('a label'), {})
    .option('--cpus <n>', 'slots for jobs; what it has unless given', amount)
    .option('--memory <size>', 'for jobs; what it has unless given')
    .option('--gpus <uuid,...>', 'only these; all unless given')
    .option('--state-dir <path>', 'our directory there')
    .option('--identity <file>', 'the private key to log in with')
    .option('--passphrase-env <variable>', 'where its passphrase is read')
    .option('--password-env <variable>', 'where the password is read')
    .option('--fingerprint <SHA256:…>', 'of its host key, as compared')
    .option('--trust', 'accept the host key that it shows, without a comparison')
    .option('--dry-run', 'show what would be written')
    .option('--no-first-job', 'do not try it with a job')
    .option(...JSON_OPTION)
    .addHelpText('after', '\nUndo it with: muster machines remove NAME')
    .action(async (name: string, destination: string, flags: AddFlags) => {
      exit(await addMachine(io, name, destination, flags))
    })
  machines
    .command('remove')
    .description('take a machine out of the configuration; what runs there is left alone')
    .argument('<name>')
    .option('--yes', 'even where attempts may still be there')
    .option(...JSON_OPTION)
    .action((name: string, flags: Flags & { yes?: boolean }) =>
      withMuster(io, false, (muster) => removeMachine(io, muster, name, flags)),
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
