/**
 * `npm run soak -- fleet [--seed N] [--jobs N]`: a day in ten minutes (fleet/fleet.ts), with 2,000 jobs unless told otherwise. The same seed
 * repeats what was thrown; the machines' own timing is never the same twice.
 */
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { holdEngine } from '../../scripts/lib/engine.js'
import type { Program } from '../harness/load.js'
import { runFleet, type Day } from './fleet/fleet.js'
import { only, whole } from './options.js'

const JOBS = 2_000
/** For each job: seven minutes for 2,000. */
const STORM_MS = 210

const fleet: Program<void> = async ({ scratch, options, log }) => {
  only(options, 'seed', 'jobs')
  const seed = whole(options, 'seed', randomInt(2 ** 31))
  const jobs = whole(options, 'jobs', JOBS)
  const again = `npm run soak -- fleet --seed ${seed} --jobs ${jobs}`
  const day: Day = {
    seed,
    jobs,
    stormMs: jobs * STORM_MS,
    calmMs: 120_000,
    weather: { machinePauseMs: [1_000, 8_000], controllerPauseMs: [3_000, 20_000], longestMs: 10_000, leaseMs: 3_000 },
  }
  log(`fleet: to repeat: ${again}`)
  const release = await holdEngine(log)
  try {
    const { problems, figures, complaints } = await runFleet(join(scratch, 'fleet'), day, log)
    for (const [name, figure] of Object.entries(figures)) console.log(`${name}: ${Math.round(figure)}`)
    if (problems.length === 0)
      return console.log(`fleet: all ${day.jobs} jobs ended once with a true reason; seed ${seed}`)
    log([...complaints.slice(0, 30), ...problems.slice(0, 50)].join('\n'))
    throw new Error(`fleet, seed ${seed}: ${problems.length} problems; to repeat: ${again}`)
  } finally {
    await release()
  }
}
export default fleet
