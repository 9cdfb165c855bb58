import type { WaitingJob } from '@muster/job-manager'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { neverFits } from '../../src/scheduler/filters.js'
import { schedule } from '../../src/scheduler/schedule.js'
import type { MachineView, Snapshot } from '../../src/scheduler/snapshot.js'

const machine = (
  name: string,
  facts: Partial<MachineView['facts'] & object> = {},
  rest: Partial<MachineView> = {},
): MachineView => ({
  name,
  closed: null,
  facts: { labels: {}, cpus: 4, memoryBytes: 2 ** 30, gpus: [], tools: [], ...facts },
  held: { cpus: 0, memoryBytes: 0, gpus: [] },
  quarantined: {},
  ...rest,
})
const gpu = (uuid: string, ...busyWith: number[]) => ({ uuid, model: 'X', busyWith })
const job = (
  id: string,
  resources: Partial<WaitingJob['resources']> = {},
  rest: Partial<WaitingJob> = {},
): WaitingJob => ({
  id,
  worker: 'command',
  queue: 'jobs.command',
  priority: 5,
  createdAt: 0,
  resources: { cpus: 1, memoryBytes: 0, gpus: 0, ...resources },
  machineLabels: {},
  secrets: {},
  attempt: 0,
  shape: id,
  ...rest,
})
const cluster = (...machines: MachineView[]): Snapshot => ({
  machines,
  workers: new Map([['command', {}]]),
  leader: 'me',
})
const placed = (snapshot: Snapshot, ...jobs: WaitingJob[]) =>
  schedule(snapshot, jobs).placements.map((p) => `${p.job.id}@${p.machine}`)
const reason = (snapshot: Snapshot, refused: WaitingJob) => schedule(snapshot, [refused]).refused[0]?.reasons[0]?.reason

describe('schedule', () => {
  it('fills slots in order and gives a written reason to what is left', () => {
    const plan = schedule(cluster(machine('a', { cpus: 2 })), [job('1'), job('2'), job('3')])
    expect(plan.placements.map((p) => p.job.id)).toEqual(['1', '2'])
    expect(plan.refused).toEqual([
      { job: job('3'), reasons: [{ machine: 'a', reason: '0 of 2 CPUs free, the job asks for 1' }] },
    ])
  })

  it('lets a job that does not fit block nobody behind it', () => {
    expect(placed(cluster(machine('a')), job('big', { cpus: 3 }), job('huge', { cpus: 4 }), job('small'))).toEqual([
      'big@a',
      'small@a',
    ])
  })

  it('sends a job only where the programs are that its worker needs, and says how to get them elsewhere', () => {
    const withGit = { workers: new Map([['command', { needs: ['git'] as const }]]) }
    expect(placed({ ...cluster(machine('bare'), machine('git', { tools: ['git'] })), ...withGit }, job('1'))).toEqual([
      '1@git',
    ])
    expect(reason({ ...cluster(machine('bare')), ...withGit }, job('1'))).toContain('apt-get install git')
  })

  it('spreads CPU jobs, and keeps them off machines with GPUs while others are free', () => {
    const gpus = machine('g', { gpus: [gpu('U1')] })
    expect(placed(cluster(gpus, machine('a'), machine('b')), job('1'), job('2'))).toEqual(['1@a', '2@b'])
  })

  it('fills up machines with GPU jobs, so that a whole machine stays free', () => {
    const half = machine('half', { gpus: [gpu('U1'), gpu('U2')] }, { held: { cpus: 1, memoryBytes: 0, gpus: ['U1'] } })
    const plan = schedule(cluster(machine('whole', { gpus: [gpu('U3'), gpu('U4')] }), half), [
      job('1', { gpus: 1 }),
      job('2', { gpus: 2 }),
    ])
    expect(plan.placements.map((p) => [p.machine, p.gpus])).toEqual([
      ['half', ['U2']],
      ['whole', ['U3', 'U4']],
    ])
  })

  it('hands out neither a quarantined GPU nor one that a stranger uses, and says so', () => {
    const m = machine('g', { gpus: [gpu('U1', 77), gpu('U2')] }, { quarantined: { U2: 'stuck' } })
    expect(reason(cluster(m), job('1', { gpus: 1 }))).toBe('0 of 2 GPUs free (1 in quarantine, 1 used by others)')
  })

  it.each([
    [
      'an unknown worker',
      cluster(machine('a')),
      job('1', {}, { worker: 'alien' }),
      'the leader (me) does not know the worker alien',
    ],
    ['no machine', cluster(), job('1'), 'no machine is configured'],
    ['another machine', cluster(machine('a')), job('1', {}, { machine: 'b' }), 'the job asks for b'],
    [
      'a missing label',
      cluster(machine('a')),
      job('1', {}, { machineLabels: { room: 'x' } }),
      'lacks the label room=x',
    ],
    ['too few CPUs', cluster(machine('a')), job('1', { cpus: 9 }), 'has 4 CPUs, the job asks for 9'],
    [
      'too little memory',
      cluster(machine('a')),
      job('1', { memoryBytes: 2 ** 31 }),
      'has 1.0 GiB of memory, the job asks for 2.0 GiB',
    ],
    ['too few GPUs', cluster(machine('a')), job('1', { gpus: 1 }), 'has 0 GPUs, the job asks for 1'],
    ['a closed machine', cluster(machine('a', {}, { closed: 'drained' })), job('1'), 'drained'],
    ['an unprobed machine', cluster({ ...machine('a'), facts: null }), job('1'), 'not probed yet'],
  ])('refuses for %s', (_, snapshot, refused, text) => {
    expect(reason(snapshot, refused)).toBe(text)
  })

  it('never hands out more than there is, whatever comes (property)', () => {
    const machines = fc.array(
      fc.record({ cpus: fc.integer({ min: 1, max: 8 }), gpus: fc.integer({ min: 0, max: 4 }) }),
      { minLength: 1, maxLength: 4 },
    )
    const jobs = fc.array(fc.record({ cpus: fc.integer({ min: 1, max: 6 }), gpus: fc.integer({ min: 0, max: 3 }) }), {
      maxLength: 30,
    })
    fc.assert(
      fc.property(machines, jobs, (ms, js) => {
        const views = ms.map((m, i) =>
          machine(`m${i}`, { cpus: m.cpus, gpus: Array.from({ length: m.gpus }, (_, g) => gpu(`m${i}g${g}`)) }),
        )
        const { placements, refused } = schedule(
          cluster(...views),
          js.map((j, i) => job(`j${i}`, j)),
        )
        expect(placements.length + refused.length).toBe(js.length)
        for (const view of views) {
          const here = placements.filter((p) => p.machine === view.name)
          const gpus = here.flatMap((p) => p.gpus)
          expect(here.reduce((sum, p) => sum + p.job.resources.cpus, 0)).toBeLessThanOrEqual(view.facts?.cpus ?? 0)
          expect(new Set(gpus).size).toBe(gpus.length)
          for (const p of here) expect(p.gpus.length).toBe(p.job.resources.gpus)
        }
        for (const r of refused) expect(r.reasons.length).toBe(views.length)
      }),
    )
  })

  it('tells what could never fit apart from what is only busy', () => {
    const facts = { labels: {}, cpus: 2, memoryBytes: 100, gpus: [], tools: [] }
    expect(neverFits({ resources: { cpus: 2, memoryBytes: 100, gpus: 0 }, machineLabels: {} }, 'a', facts)).toBeNull()
    expect(neverFits({ resources: { cpus: 3, memoryBytes: 0, gpus: 0 }, machineLabels: {} }, 'a', facts)).toMatch(
      /has 2 CPUs/,
    )
  })
})
