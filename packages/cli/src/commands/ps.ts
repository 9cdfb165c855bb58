/** `muster ps`: the jobs of the record, newest first, with the reason of each that waits. */
import { isTerminal, JOB_STATES, type JobState } from '@muster/core'
import type { JobRecord, Muster } from '@muster/sdk'
import { InvalidArgumentError, Option, type Command } from 'commander'
import type { Io } from '../io.js'
import { commandOf, elapsed, inColour, jobJson, outcome, stateText } from '../render/job.js'
import { cut, oneLine, table } from '../render/table.js'
import { withMuster } from '../session.js'
import { JSON_OPTION, type Surroundings } from './command.js'

interface Flags {
  readonly all?: boolean
  readonly state?: JobState[]
  readonly limit: number
  readonly json?: boolean
}

const ACTIVE = JOB_STATES.filter((state) => !isTerminal(state))

export function addPs(program: Command, { io }: Surroundings): void {
  program
    .command('ps')
    .description('list jobs, newest first: those that have not ended, or --all')
    .option('-a, --all', 'ended ones, too')
    .addOption(new Option('--state <state...>', 'only jobs in these states').choices(JOB_STATES))
    .option('--limit <n>', 'at most so many', atLeastOne, 50)
    .option(...JSON_OPTION)
    .action((flags: Flags) => withMuster(io, false, (muster) => list(io, muster, flags)))
}

async function list(io: Io, muster: Muster, { all, state, limit, json }: Flags): Promise<void> {
  const filter = state ? { state } : all ? {} : { state: ACTIVE }
  const { jobs, next } = await muster.jobs.listJobs(filter, { limit })
  if (json) {
    for (const job of jobs) await io.json(jobJson(job))
    return
  }
  if (jobs.length === 0) {
    io.say(all || state ? 'no jobs' : 'no job is waiting or running; --all lists those that have ended')
    return
  }
  const rows = await Promise.all(jobs.map((job) => row(io, muster, job)))
  const [header = '', ...lines] = table([['ID', 'STATE', 'TIME', 'MACHINE', 'COMMAND', 'WHY'], ...rows], io.width)
  await io.line(io.outColors.bold(header))
  for (const [index, line] of lines.entries()) await io.line(paint(io, line, jobs[index]))
  if (next !== undefined) io.say(`the newest ${jobs.length} are shown; --limit shows more`)
}

async function row(io: Io, muster: Muster, job: JobRecord): Promise<string[]> {
  const why = isTerminal(job.state) ? outcome(job) : (await muster.cluster.explain(job.id)).sentence
  const command = cut(commandOf(job), 32)
  return [job.id, stateText(job), elapsed(job, io.clock.now()), job.machine ?? '-', command, oneLine(why)]
}

/** Colours the state's word where it stands; the columns were laid out without colours. */
function paint(io: Io, line: string, job: JobRecord | undefined): string {
  return job ? line.replace(`  ${job.state}`, () => `  ${inColour(io.outColors, job.state, job.state)}`) : line
}

function atLeastOne(text: string): number {
  if (!/^([1-9]\d{0,2}|1000)$/.test(text)) throw new InvalidArgumentError('Expected a whole number from 1 to 1000.')
  return Number(text)
}
