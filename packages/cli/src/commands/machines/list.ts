/** The list of machines: those that are configured here and those that the record knows, each with what is wrong with it. */
import type { MachineRecord, Muster } from '@muster/sdk'
import type { Io } from '../../io.js'
import { HEADER, machineRow, troubleLines } from '../../render/machine.js'
import { table } from '../../render/table.js'

/** Prints it. A machine that nobody has asked yet is listed, too. */
export async function listMachines(io: Io, muster: Muster, { json }: { readonly json?: boolean }): Promise<void> {
  const known = await muster.cluster.machines()
  const names = new Set([...muster.cluster.configs.keys(), ...known.map(({ name }) => name)])
  const machines = [...names].map((name) => ({
    name,
    ssh: destinationOf(muster, name),
    record: known.find((machine) => machine.name === name),
  }))
  if (json) {
    for (const { name, ssh, record } of machines)
      await io.json({ type: 'machine', ...(record ?? unseen(name)), configured: muster.cluster.configs.has(name), ssh })
    return
  }
  const now = io.clock.now()
  const rows = machines.map(({ name, record }) => machineRow(name, record, now))
  const [header = '', ...lines] = table([HEADER, ...rows], io.width)
  await io.line(header)
  for (const [index, line] of lines.entries()) {
    await io.line(line)
    const record = machines[index]?.record
    for (const trouble of record ? troubleLines(record) : []) await io.line(`  ${trouble}`)
  }
  if (machines.some(({ record }) => !record))
    io.say('a machine without a state was not asked yet: muster machines --probe asks it, muster up looks after it')
}

/** `user@host` of a machine over SSH, null of the machine at hand and of one that is not configured here. */
export function destinationOf(muster: Muster, name: string): string | null {
  const config = muster.cluster.configs.get(name)
  return config?.transport === 'ssh' ? config.ssh.destination : null
}

function unseen(name: string): Omit<MachineRecord, 'state' | 'updatedAt'> & { state: null; updatedAt: null } {
  const nothing = { reason: null, probe: {}, quarantined: {}, trouble: null, drain: null }
  return { name, state: null, updatedAt: null, ...nothing }
}
