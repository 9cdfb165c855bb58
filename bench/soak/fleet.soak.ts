/**
 * `npm run soak -- fleet`: a day in ten minutes (fleet/fleet.ts) at full length. SOAK_SEED=N repeats what was thrown; the machines'
 * own timing is never the same twice.
 */
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { holdEngine } from '../../scripts/lib/engine.js'
import type { Program } from '../harness/load.js'
import { runFleet, type Day } from './fleet/fleet.js'

const fleet: Program<void> = async ({ scratch, log }) => {
  const seed = Number(process.env['SOAK_SEED'] ?? randomInt(2 ** 31))
  const day: Day = {
    seed,
    jobs: Number(process.env['SOAK_JOBS'] ?? 2_000),
    stormMs: Number(process.env['SOAK_STORM_MS'] ?? 420_000),
    calmMs: 120_000,
    weather: { machinePauseMs: [1_000, 8_000], controllerPauseMs: [3_000, 20_000], longestMs: 10_000, leaseMs: 3_000 },
  }
  log(`fleet: seed ${seed}; to repeat: SOAK_SEED=${seed} npm run soak -- fleet`)
  const release = await holdEngine(log)
  try {
    const { problems, figures, complaints } = await runFleet(join(scratch, 'fleet'), day, log)
    for (const [name, figure] of Object.entries(figures)) console.log(`${name}: ${Math.round(figure)}`)
    if (problems.length === 0)
      return console.log(`fleet: all ${day.jobs} jobs ended once with a true reason; seed ${seed}`)
    log([...complaints.slice(0, 30), ...problems.slice(0, 50)].join('\n'))
    throw new Error(
      `fleet, seed ${seed}: ${problems.length} problems; to repeat: SOAK_SEED=${seed} npm run soak -- fleet`,
    )
  } finally {
    await release()
  }
}
export default fleet
