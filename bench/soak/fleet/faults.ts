/**
 * What goes wrong: one lane of faults per machine, one for the controllers, each thrown with its own dice. Invariant: every fault is
 * written down with its time, and taken back when the lane ends: afterwards machines and connections are well again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Controllers } from './controllers.js'
import type { Dice } from './dice.js'
import { STATE, type FleetMachine } from './machines.js'

/** A fault that happened. Times are epoch milliseconds of this host. */
export interface Strike {
  readonly fault: string
  /** Null: it hit the controllers. */
  readonly machine: string | null
  readonly fromMs: number
  readonly untilMs: number
  /** `JOB.N` of the attempt that it hit, where it hit one. */
  readonly attempt?: string
}

/** How wild it is. */
export interface Weather {
  /** Between two faults of a machine, and of the controllers: at least, at most. */
  readonly machinePauseMs: readonly [number, number]
  readonly controllerPauseMs: readonly [number, number]
  /** The longest a connection is silent, refused or slow, and a machine frozen. */
  readonly longestMs: number
  readonly leaseMs: number
}

const MACHINE_FAULTS = { cut: 4, 'black hole': 2, delay: 2, refuse: 1, pause: 1, 'kill supervisor': 5, reboot: 1 }
const CONTROLLER_FAULTS = { kill: 3, freeze: 1 }

/** Runs all lanes until the signal, and gives what they did. */
export async function runFaults(
  machines: readonly FleetMachine[],
  controllers: Controllers,
  weather: Weather,
  dice: Dice,
  strikes: Strike[],
  signal: AbortSignal,
): Promise<void> {
  const lanes = machines.map((one) => {
    const own = dice.of(one.name)
    return lane(weather.machinePauseMs, own, signal, () => hitMachine(one, weather, own, strikes, signal))
  })
  const own = dice.of('controllers')
  const controllerLane = lane(weather.controllerPauseMs, own, signal, () =>
    hitController(controllers, weather, own, strikes, signal),
  )
  await Promise.all([...lanes, controllerLane])
}

async function lane(
  [least, most]: readonly [number, number],
  dice: Dice,
  signal: AbortSignal,
  strike: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    await rest(dice.between(least, most), signal)
    if (!signal.aborted) await strike()
  }
}

async function hitMachine(
  { name, machine, proxy }: FleetMachine,
  { longestMs }: Weather,
  dice: Dice,
  strikes: Strike[],
  signal: AbortSignal,
): Promise<void> {
  const fault = dice.pick(MACHINE_FAULTS)
  const ms = dice.between(200, longestMs)
  const extent = dice.random()
  const fromMs = Date.now()
  let attempt: string | undefined
  switch (fault) {
    case 'cut':
      proxy.cut()
      break
    case 'black hole':
      proxy.blackHole(true)
      await rest(ms, signal)
      proxy.blackHole(false)
      break
    case 'delay':
      proxy.delay(20 + extent * 200)
      await rest(ms, signal)
      proxy.delay(0)
      break
    case 'refuse':
      await proxy.refuse(true)
      proxy.cut()
      await rest(ms, signal)
      await proxy.refuse(false)
      break
    case 'pause':
      if (!(await freezes(machine.pause()))) return
      await rest(ms, signal)
      await machine.unpause()
      break
    case 'kill supervisor':
      attempt = (await machine.exec(killSupervisor(extent))).stdout.trim()
      if (attempt === '') return
      break
    case 'reboot':
      await machine.reboot()
      break
  }
  strikes.push({ fault, machine: name, fromMs, untilMs: Date.now(), ...(attempt !== undefined && { attempt }) })
}

async function hitController(
  controllers: Controllers,
  { leaseMs }: Weather,
  dice: Dice,
  strikes: Strike[],
  signal: AbortSignal,
): Promise<void> {
  const fault = dice.pick(CONTROLLER_FAULTS)
  const fromMs = Date.now()
  if (fault === 'kill') await controllers.kill(dice)
  else await controllers.freeze(dice, leaseMs * dice.between(1.1, 2), signal)
  strikes.push({ fault: `${fault} controller`, machine: null, fromMs, untilMs: Date.now() })
}

/** KILL for one supervisor of this boot that has not recorded an end yet; says whose. `extent` (0 to below 1) chooses among them. */
function killSupervisor(extent: number): string {
  return `
cd ${STATE}/attempts 2>/dev/null || exit 0
read -r now rest </proc/sys/kernel/random/boot_id
set --
for name in *; do
  pid= start= boot=
  [ -e "$name/claim" ] && [ ! -e "$name/exit" ] && read -r pid start boot rest <"$name/claim"
  [ "$boot" != "$now" ] || set -- "$@" "$pid $name"
done
[ $# -gt 0 ] || exit 0
shift $(($# * ${Math.floor(extent * 1_000)} / 1000))
kill -KILL "\${1%% *}" 2>/dev/null && echo "\${1#* }"
:`
}

/** The kernel cannot always freeze a busy machine, and says so: then this fault did not happen. */
async function freezes(paused: Promise<void>): Promise<boolean> {
  try {
    await paused
    return true
  } catch (error) {
    if (String(error).includes('unable to freeze')) return false
    throw error
  }
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined)
}
