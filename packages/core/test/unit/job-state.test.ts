/** The state table, by properties that must hold whatever rows it has. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  JOB_EVENTS,
  JOB_STATES,
  LIVE_STATES,
  TERMINAL_STATES,
  TRANSITIONS,
  WAITING_STATES,
  isLive,
  isTerminal,
  nextState,
  shortestPath,
  statePairs,
  type JobState,
} from '../../src/job-state.js'

const state = fc.constantFrom(...JOB_STATES)
const event = fc.constantFrom(...JOB_EVENTS)

describe('the state table', () => {
  it('gives at most one next state for a state and an event', () => {
    for (const from of [null, ...JOB_STATES])
      for (const name of JOB_EVENTS) {
        const rows = TRANSITIONS.filter((row) => row.event === name && row.from.includes(from))
        expect(rows.length, `${from ?? '-'} ${name}`).toBeLessThanOrEqual(1)
      }
  })

  it('uses every event and reaches every state from the birth of a job', () => {
    expect(new Set(TRANSITIONS.map((row) => row.event))).toEqual(new Set(JOB_EVENTS))
    const born = nextState(null, 'submit')
    expect(born).toBe('pending')
    for (const to of JOB_STATES) expect(shortestPath(born ?? 'failed', to), to).toBeDefined()
  })

  it('divides the states into waiting, live and terminal ones', () => {
    expect([...WAITING_STATES, ...LIVE_STATES, ...TERMINAL_STATES].sort()).toEqual([...JOB_STATES].sort())
    expect(JOB_STATES.filter(isLive)).toEqual(LIVE_STATES)
    expect(JOB_STATES.filter(isTerminal)).toEqual(TERMINAL_STATES)
  })

  it('leaves a terminal state only by restart, and only restart leaves one', () => {
    for (const from of TERMINAL_STATES)
      expect(JOB_EVENTS.filter((name) => nextState(from, name) !== undefined)).toEqual(['restart'])
    for (const from of [...WAITING_STATES, ...LIVE_STATES]) expect(nextState(from, 'restart')).toBeUndefined()
  })

  it('ends every job that is not ended, by cancel and by fail', () => {
    for (const from of [...WAITING_STATES, ...LIVE_STATES]) {
      expect(nextState(from, 'cancel')).toBe('cancelled')
      expect(nextState(from, 'fail')).toBe('failed')
    }
  })

  it('completes only what has an attempt', () => {
    expect(JOB_STATES.filter((from) => nextState(from, 'succeed') !== undefined)).toEqual(LIVE_STATES)
  })

  it('keeps any sequence of events within the states, and within the pairs that SQL allows', () => {
    const allowed = new Set(statePairs().map(([from, to]) => `${from} ${to}`))
    fc.assert(
      fc.property(state, fc.array(event), (start, events) => {
        let current: JobState = start
        for (const name of events) {
          const next = nextState(current, name)
          if (next === undefined) continue
          expect(allowed).toContain(`${current} ${next}`)
          current = next
        }
      }),
    )
  })
})

describe('statePairs', () => {
  it('lists each pair once, and none that no event connects', () => {
    const pairs = statePairs()
    expect(new Set(pairs.map(String)).size).toBe(pairs.length)
    for (const [from, to] of pairs) expect(JOB_EVENTS.some((name) => nextState(from, name) === to)).toBe(true)
  })
})

describe('shortestPath', () => {
  it('is empty between equal states and walks edges of the table that end where it should', () => {
    fc.assert(
      fc.property(state, state, (from, to) => {
        const path = shortestPath(from, to) ?? []
        const end = path.reduce<JobState | undefined>((at, name) => (at ? nextState(at, name) : undefined), from)
        expect(end).toBe(to)
        if (from === to) expect(path).toEqual([])
      }),
    )
  })

  it('is never longer than another way', () => {
    fc.assert(
      fc.property(state, fc.array(event, { maxLength: 8 }), (from, events) => {
        let at: JobState = from
        let steps = 0
        for (const name of events) {
          const next = nextState(at, name)
          if (next === undefined) continue
          at = next
          steps += 1
        }
        expect(shortestPath(from, at)?.length).toBeLessThanOrEqual(steps)
      }),
    )
  })

  it('walks what an external job reports', () => {
    expect(shortestPath('pending', 'running')).toEqual(['ready', 'place', 'start'])
    expect(shortestPath('queued', 'completed')).toEqual(['place', 'succeed'])
    expect(shortestPath('failed', 'queued')).toEqual(['restart', 'ready'])
  })
})
