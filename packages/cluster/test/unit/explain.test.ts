/** Why a job waits, in words: what a person decided, what a machine said, and machines that nobody looks after. */
import { jobSpec, type SubmitOptions } from '@muster/core'
import type { JobRecord, MachineRecord } from '@muster/job-manager'
import { expect, it } from 'vitest'
import { explainJob } from '../../src/scheduler/explain.js'
import { timeText } from '../../src/scheduler/words.js'

const NOW = new Date(2026, 4, 3, 14, 30).getTime()
const AT = new Date(2026, 4, 3, 14, 2).getTime()
const LEADER = { holder: 'ada@desk:7', caretaker: false, epoch: 1 }
const FACTS = { labels: {}, cpus: 4, memoryBytes: 2 ** 30, gpus: [] }

function machine(change: Partial<MachineRecord> = {}): MachineRecord {
  const basics = { name: 'gpu1', state: 'ready', reason: null, probe: { facts: FACTS }, quarantined: {} } as const
  return { ...basics, trouble: null, drain: null, updatedAt: NOW, ...change }
}

function job(options: SubmitOptions = {}, change: Partial<JobRecord> = {}): JobRecord {
  const spec = jobSpec({ worker: 'command', input: {} }, options)
  return { id: 'x', state: 'queued', spec, conditions: {}, machine: null, attempt: 0, ...change } as JobRecord
}

function sentence(one: JobRecord, ...machines: MachineRecord[]): string {
  return explainJob({ job: one, leader: LEADER, machines, live: [], workers: new Map([['command', {}]]), now: NOW })
    .sentence
}

const drain = { by: 'user:ada@desk', reason: 'new disk', at: AT }
const trouble = { code: 'SSH_CONNECT_FAILED', message: 'connection refused', hint: 'Is it on?', since: AT }

it('names what keeps a waiting job: drained, silent, refused by what the machine said', () => {
  expect(sentence(job(), machine())).toBe('about to be placed')
  expect(sentence(job(), machine({ state: 'drained', drain }))).toBe(
    'waits: gpu1 is drained by user:ada@desk since 14:02 (new disk)',
  )
  expect(sentence(job(), machine({ state: 'drained', drain, probe: {} }))).toMatch(/gpu1 is drained/)
  expect(sentence(job(), machine({ state: 'unreachable', trouble }))).toBe(
    'waits: gpu1 does not answer since 14:02: connection refused [SSH_CONNECT_FAILED]',
  )
  const key = { ...trouble, code: 'HOST_KEY_CHANGED', message: 'another key' }
  expect(sentence(job(), machine({ state: 'suspect', trouble: key }))).toBe(
    'waits: gpu1 cannot be used since 14:02: another key [HOST_KEY_CHANGED]',
  )
  expect(sentence(job({ cpus: 9 }), machine({ drain, state: 'drained' }))).toMatch(/has 4 CPUs/)
})

it('a machine that the leader never looked at is not "about to be placed"', () => {
  expect(sentence(job({ machine: 'gpu2' }), machine())).toMatch(/^waits: gpu2: ada@desk:7, who leads, has not looked/)
})

it('a running job whose machine is silent says since when, and why', () => {
  const running = job({}, { state: 'running', machine: 'gpu1', attempt: 1, conditions: { unconfirmedSince: AT } })
  expect(sentence(running, machine({ state: 'unreachable', trouble }))).toBe(
    'runs on gpu1, attempt 1; unconfirmed since 14:02: gpu1 does not answer since 14:02: connection refused [SSH_CONNECT_FAILED]',
  )
})

it('a job of a paused queue waits for whoever paused it, also where nothing else would keep it, or nobody leads', () => {
  const paused = { by: 'user:ada@desk', at: AT }
  const input = { machines: [machine()], live: [], workers: new Map([['command', {}]]), paused, now: NOW }
  const one = job({}, { queue: 'jobs.command' })
  const reason =
    'the queue jobs.command is paused by user:ada@desk since 14:02 (let it go on with: muster queue resume jobs.command)'
  expect(explainJob({ ...input, job: one, leader: LEADER })).toMatchObject({
    sentence: `waits: ${reason}`,
    reasons: [{ machine: null, reason }],
  })
  expect(explainJob({ ...input, job: one, leader: undefined }).reasons).toMatchObject([
    { reason },
    { reason: 'nobody schedules: start a controller with: muster up' },
  ])
  const odd = job({}, { queue: "it's late" })
  expect(explainJob({ ...input, job: odd, leader: LEADER }).sentence).toMatch(/muster queue resume 'it'\\''s late'\)$/)
  const running = job({}, { queue: 'jobs.command', state: 'running', machine: 'gpu1', attempt: 1 })
  expect(explainJob({ ...input, job: running, leader: LEADER }).sentence).toBe('runs on gpu1, attempt 1')
})

it('a time of another day has its day', () => {
  expect(timeText(new Date(2026, 0, 9, 7, 5).getTime(), NOW)).toBe('2026-01-09 07:05')
})
