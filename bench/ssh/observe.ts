/**
 * Looking at 1,000 attempts that run on one machine, against a script that reads the same files there over the same channel and
 * judges nothing. Counted is what goes over the channel: one request, however many attempts. They are started for good, each with
 * its supervisor, and end with the machine.
 */
import { shellLauncher, type AttemptKey, type Launcher, type Transport } from '@muster/cluster'
import { systemIds } from '@muster/core'
import type { Context } from '../harness/load.js'
import { interleaved, perSecond, timed } from '../harness/measure.js'
import { absolute, comparedTo, type Measured } from '../harness/result.js'
import { reach, there, withMachine } from './there.js'

const ROUNDS = 15
const ATTEMPTS = 1_000
const STARTS_AT_ONCE = 16

/** What is known of an attempt on the machine, read by hand: key, claim, the process of its supervisor, the size of its log. */
const BY_HAND = `
cd "$1" || exit
for d in *; do
  key= claim= stat=
  read -r key <"$d/key"
  read -r claim <"$d/claim"
  read -r stat <"/proc/\${claim%% *}/stat"
  [ -e "$d/exit" ] && exit 1
  printf '%s %s %s\\n' "$d" "$claim" "$stat"
done
stat -c '%s %n' */log
`

/** The second row of the table. */
export function observe(context: Context): Promise<readonly Measured[]> {
  return withMachine(async (machine) => {
    const way = reach(machine)
    const counted = countRequests(way)
    const launcher = shellLauncher(counted)
    try {
      const keys = await startAttempts(launcher, context)
      const attempts = `${await launcher.stateDir()}/attempts`
      const ours = (): Promise<number> => timed(() => allRun(launcher, keys))
      const script = BY_HAND.replace('"$1"', attempts)
      const theirs = (): Promise<number> =>
        timed(async () => {
          const lines = (await there(way, script)).trimEnd().split('\n')
          if (lines.length !== 2 * ATTEMPTS) throw new Error(`${lines.length} lines of ${2 * ATTEMPTS} by hand`)
        })
      const before = counted.requests
      await allRun(launcher, keys)
      const requests = counted.requests - before
      const rounds = await interleaved(ROUNDS, ours, theirs)
      const name = `observe ${ATTEMPTS} running attempts over SSH`
      return [
        absolute(requests, { name: `${name}, requests`, unit: 'round trips', sense: 'at most', bar: 1 }),
        comparedTo('the same files read there by hand', rounds, { name, unit: 'ms', sense: 'at most', bar: 2 }),
      ]
    } finally {
      await launcher.close()
      await way.close()
    }
  })
}

async function startAttempts(launcher: Launcher, { log }: Context): Promise<readonly AttemptKey[]> {
  const keys = Array.from({ length: ATTEMPTS }, () => ({
    jobId: systemIds.next(),
    attempt: 1,
    token: systemIds.token(),
  }))
  const recordId = systemIds.next()
  const plan = { command: { argv: ['sleep', '3600'] }, env: {}, artifacts: [] }
  const rate = await perSecond(keys.length, STARTS_AT_ONCE, async (index) => {
    const key = keys[index]
    if (key) await launcher.start({ key, recordId, epoch: 1, plan, secrets: {}, gpus: [], graceMs: 0 })
  })
  log(`observe: ${ATTEMPTS} attempts started, ${rate.toFixed(1)}/s`)
  return keys
}

async function allRun(launcher: Launcher, keys: readonly AttemptKey[]): Promise<void> {
  const seen = await launcher.inspect(keys)
  const others = seen.filter(({ status }) => status !== 'running')
  if (seen.length !== keys.length || others.length > 0)
    throw new Error(`of ${keys.length} attempts ${others.length} do not run: ${JSON.stringify(others[0])}`)
}

/** A transport that counts the scripts it runs and everything else that goes over it. */
function countRequests(transport: Transport): Transport & { readonly requests: number } {
  const count = { requests: 0 }
  return {
    ...transport,
    run: (...given) => (count.requests++, transport.run(...given)),
    put: (...given) => (count.requests++, transport.put(...given)),
    get: (...given) => (count.requests++, transport.get(...given)),
    open: (...given) => (count.requests++, transport.open(...given)),
    get requests() {
      return count.requests
    },
  }
}
