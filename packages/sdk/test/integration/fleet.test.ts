/**
 * P1, P2, P3, P5 together, for half a minute: jobs over three SSH machines while connections, supervisors, controllers and machines
 * fail. At full length: `npm run soak -- fleet`. The seed is printed; SOAK_SEED throws the same again.
 */
import { randomInt } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { runFleet } from '../../../../bench/soak/fleet/fleet.js'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'muster-test-fleet-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

it('a day in half a minute: every job ends once with a true reason, and no machine keeps anything of it', async () => {
  const seed = Number(process.env['SOAK_SEED'] ?? randomInt(2 ** 31))
  const repeat = `SOAK_SEED=${seed} npx vitest run --project integration packages/sdk/test/integration/fleet.test.ts`
  console.log(`fleet: seed ${seed}; to repeat: ${repeat}`)
  const report = await runFleet(
    directory,
    {
      seed,
      jobs: 60,
      stormMs: 12_000,
      calmMs: 120_000,
      weather: { machinePauseMs: [300, 2_500], controllerPauseMs: [2_000, 5_000], longestMs: 2_000, leaseMs: 1_500 },
    },
    console.log,
  )
  const said = report.problems.length > 0 ? report.complaints : []
  expect({ repeat, problems: report.problems, said }).toEqual({ repeat, problems: [], said: [] })
  expect(report.figures['jobs completed']).toBeGreaterThan(0)
}, 240_000)
