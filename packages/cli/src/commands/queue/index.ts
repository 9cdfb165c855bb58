/** `muster queue`: what waits where, and what an operator does about it. */
import type { Muster } from '@muster/sdk'
import { InvalidArgumentError, Option, type Command } from 'commander'
import type { Io } from '../../io.js'
import { withMuster } from '../../session.js'
import { JSON_OPTION, type Surroundings } from '../command.js'
import { cleanQueue, STATES, type CleanFlags } from './clean.js'
import { listDead, redrive, type DeadFlags, type RedriveFlags } from './dead.js'
import { listQueues, showQueue } from './list.js'
import { setPaused } from './pause.js'

interface Flags {
  readonly json?: boolean
}

export function addQueue(program: Command, surroundings: Surroundings): void {
  const { io, exit } = surroundings
  const queue = program.command('queue').description('queues of messages and of jobs: see them, hold them, mend them')
  queue
    .command('ls')
    .description('list queues with what is in them')
    .option(...JSON_OPTION)
    .action((flags: Flags) => look(io, async (muster) => exit(await listQueues(surroundings, muster, flags))))
  queue
    .command('stats')
    .description('show one queue: how much is where, how old the oldest is, who paused it')
    .argument('<queue>')
    .option(...JSON_OPTION)
    .action((name: string, flags: Flags) => look(io, (muster) => showQueue(io, muster, name, flags)))
  queue
    .command('pause')
    .description('hand out nothing more of a queue, and place none of its jobs; undo it with: muster queue resume')
    .argument('<queue>')
    .option(...JSON_OPTION)
    .action((name: string, flags: Flags) => withMuster(io, false, (muster) => setPaused(io, muster, name, true, flags)))
  queue
    .command('resume')
    .description('let a paused queue go on')
    .argument('<queue>')
    .option(...JSON_OPTION)
    .action((name: string, flags: Flags) =>
      withMuster(io, false, (muster) => setPaused(io, muster, name, false, flags)),
    )
  queue
    .command('dead')
    .description('list dead letters, oldest first, with why each died')
    .argument('<queue>')
    .option('--limit <n>', 'at most so many', atLeastOne, 50)
    .option('--id <id>', 'show this one, with its whole body')
    .option(...JSON_OPTION)
    .action((name: string, flags: DeadFlags) => withMuster(io, false, (muster) => listDead(io, muster, name, flags)))
  queue
    .command('redrive')
    .description('put dead letters back in line, with both counts at 0')
    .argument('<queue>')
    .option('--limit <n>', 'at most so many, the oldest first', atLeastOne)
    .option('--id <id>', 'only this one; repeatable', append, [])
    .option('--dry-run', 'only say how many')
    .option('--yes', 'without being asked')
    .option(...JSON_OPTION)
    .action((name: string, flags: RedriveFlags) => withMuster(io, false, (muster) => redrive(io, muster, name, flags)))
  queue
    .command('clean')
    .description('remove messages for good; what is held is never touched')
    .argument('<queue>')
    .addOption(new Option('--state <state>', 'which').choices(STATES).default('waiting'))
    .option('--limit <n>', 'at most so many, those first that would be delivered (or died) first', atLeastOne)
    .option('--older-than <duration>', "only those published so long ago, such as '2h'")
    .option('--id <id>', 'only this one; repeatable', append, [])
    .option('--dry-run', 'only say how many')
    .option('--yes', 'without being asked')
    .option(...JSON_OPTION)
    .action((name: string, flags: CleanFlags) => withMuster(io, false, (muster) => cleanQueue(io, muster, name, flags)))
}

/** Who looks at queues sees what their server puts at risk. */
function look(io: Io, work: (muster: Muster) => Promise<void>): Promise<void> {
  return withMuster(io, false, work, { showRisks: true })
}

function atLeastOne(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Expected a whole number from 1.')
  return Number(text)
}

function append(text: string, before: readonly string[]): string[] {
  return [...before, text]
}
