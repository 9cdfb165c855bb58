/** The machines of the soak: real ones over SSH, each behind a proxy of its own, and the sweep that says what is left on one. */
import type { MachineConfig } from '@muster/cluster'
import { tcpProxy, type TcpProxy } from '@muster/testing'
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { setTimeout as sleep } from 'node:timers/promises'
import { LEDGER } from './jobs.js'

/** Where the launcher keeps what is its own on a machine. */
export const STATE = '/home/ada/.local/state/muster/machine'

/** A machine and the way to it. */
export interface FleetMachine {
  readonly name: string
  readonly machine: SshMachine
  readonly proxy: TcpProxy
  readonly config: MachineConfig
}

/** Starts so many machines side by side. */
export async function startMachines(count: number, slots: number): Promise<readonly FleetMachine[]> {
  const started = await Promise.allSettled(Array.from({ length: count }, (_, at) => start(`m${at + 1}`, slots)))
  const machines = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const failed = started.find((one) => one.status === 'rejected')
  if (failed === undefined) return machines
  await removeMachines(machines)
  throw failed.reason
}

/** Removes them. */
export async function removeMachines(machines: readonly FleetMachine[]): Promise<void> {
  await Promise.all(
    machines.map(async ({ machine, proxy }) => {
      await proxy.close()
      await machine.remove()
    }),
  )
}

async function start(name: string, slots: number): Promise<FleetMachine> {
  const machine = await startSshMachine({ setup: `: >${LEDGER}; chown ada ${LEDGER}` })
  const proxy = await tcpProxy(machine)
  const { user, identityFile, fingerprint } = machine
  const ssh = {
    destination: `${user}@${proxy.host}:${proxy.port}`,
    identityFile,
    fingerprint,
    configFile: null,
    agent: false,
  }
  return { name, machine, proxy, config: { name, transport: 'ssh', cpus: slots, ssh } }
}

/** Waits until no attempt has a directory on any of them, and says which still have after that time. */
export async function untilEmpty(machines: readonly FleetMachine[], patienceMs: number): Promise<readonly string[]> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const left = await Promise.all(
      machines.map(async ({ name, machine }) => {
        const { stdout } = await machine.exec(`ls ${STATE}/attempts`)
        return stdout
          .split('\n')
          .filter(Boolean)
          .map((attempt) => `${name}: attempts/${attempt}`)
      }),
    )
    if (left.flat().length === 0 || performance.now() > deadline) return left.flat()
    await sleep(250)
  }
}

/** What a rule keeps below the state directory, and the home with the ledger that is our own. */
const KEPT =
  /^(attempts|cache|gpus|keep|records|records\/[0-9a-f-]{36}(\/\d+)?|events|bin|bin\/[0-9a-f]+|bin\/[0-9a-f]+\/(run|ask))$/
const HOME_KEPT = /^\.?\/?(\.ssh|\.local|ledger|\.bash\w*|\.profile|\.cache)$/

/** After the controllers have gone: processes of the user, and files that no rule keeps. Processes of ended logins may take a moment. */
export async function sweepMachine({ name, machine }: FleetMachine): Promise<readonly string[]> {
  const processes = `for at in /proc/[0-9]*; do [ "$(stat -c %U $at 2>/dev/null)" != ada ] || tr '\\0' ' ' <$at/cmdline; done | grep .`
  let running = ''
  for (let tries = 0; tries < 40; tries += 1) {
    running = (await machine.exec(processes)).stdout.trim()
    if (running === '') break
    await sleep(250)
  }
  const lines = async (script: string): Promise<string[]> =>
    (await machine.exec(script)).stdout.split('\n').filter(Boolean)
  const files = await lines(`cd ${STATE} && find . -mindepth 1 | sed 's,^\\./,,'`)
  const home = await lines('cd /home/ada && ls -A')
  const temporary = await lines('find /tmp /var/tmp /dev/shm -mindepth 1 -user ada')
  return [
    ...(running === '' ? [] : [`${name}: processes: ${running}`]),
    ...files.filter((file) => !KEPT.test(file)).map((file) => `${name}: ${STATE}/${file}`),
    ...home.filter((file) => !HOME_KEPT.test(file)).map((file) => `${name}: /home/ada/${file}`),
    ...temporary.map((file) => `${name}: ${file}`),
  ]
}
