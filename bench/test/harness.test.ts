/** The harness of the benches: the arithmetic, the turns, the bars, the shape of the JSON. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { programs, runProgram } from '../harness/load.js'
import { interleaved, median, perSecond, percentile } from '../harness/measure.js'
import { asJson, asTable } from '../harness/report.js'
import { absolute, comparedTo, printed } from '../harness/result.js'
import { runRows } from '../harness/rows.js'

describe('median and percentile', () => {
  it('are what everybody means by them', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(percentile([5, 1, 4, 2, 3], 50)).toBe(3)
    expect(percentile([...Array(100).keys()], 95)).toBe(94)
    expect(percentile([7], 95)).toBe(7)
    expect(percentile([1, 2], 0)).toBe(1)
  })

  it('lie within the values', () => {
    const values = fc.array(fc.integer(), { minLength: 1 })
    fc.assert(
      fc.property(values, fc.integer({ min: 0, max: 100 }), (list, percent) => {
        expect(list).toContain(percentile(list, percent))
        expect(median(list)).toBeGreaterThanOrEqual(Math.min(...list))
        expect(median(list)).toBeLessThanOrEqual(Math.max(...list))
      }),
    )
  })
})

describe('interleaved', () => {
  it('lets both take turns, changes who begins, and throws the first round away', async () => {
    const turns: string[] = []
    const side = (name: string, figures: number[]) => async (): Promise<number> => {
      turns.push(name)
      return figures.shift() ?? NaN
    }
    const rounds = await interleaved(3, side('o', [999, 10, 20, 30]), side('t', [1, 5, 5, 10]))
    expect(turns.join('')).toBe('otottoot')
    expect(rounds).toEqual({ ours: 20, theirs: 5, ratio: 3, ratios: [2, 4, 3] })
  })
})

describe('perSecond', () => {
  it('does everything once, never more than `width` at a time', async () => {
    const done = new Set<number>()
    let live = 0
    let most = 0
    const rate = await perSecond(20, 4, async (index) => {
      most = Math.max(most, ++live)
      await Promise.resolve()
      live -= 1
      done.add(index)
    })
    expect(done.size).toBe(20)
    expect(most).toBe(4)
    expect(rate).toBeGreaterThan(0)
  })
})

describe('bars', () => {
  const rounds = { ours: 50, theirs: 100, ratio: 0.5, ratios: [0.4, 0.5, 0.6] }

  it('are met from both sides, and by nothing that is not a number', () => {
    const bar = { name: 'x', unit: '/s', bar: 0.5 }
    expect(comparedTo('peer', rounds, { ...bar, sense: 'at least' }).met).toBe(true)
    expect(comparedTo('peer', rounds, { ...bar, sense: 'at most' }).met).toBe(true)
    expect(comparedTo('peer', rounds, { ...bar, bar: 0.6, sense: 'at least' }).met).toBe(false)
    expect(comparedTo('peer', rounds, { ...bar, bar: 0.6, sense: 'at least', orMet: true }).met).toBe(true)
    expect(absolute(NaN, { name: 'x', unit: 'ms', sense: 'at most', bar: 300 }).met).toBe(false)
    expect(printed(1, { name: 'x', unit: 'ms' })).toMatchObject({ bar: null, met: true })
  })

  it('are told in JSON with exactly the members that programs expect', () => {
    const results = [
      comparedTo('by hand', rounds, { name: 'jobs', unit: '/s', sense: 'at least', bar: 0.5 }),
      absolute(310, { name: 'line', unit: 'ms', sense: 'at most', bar: 300 }),
    ]
    expect(JSON.parse(asJson(results, { node: 'v20' }))).toEqual({
      results: [
        { name: 'jobs', unit: '/s', ours: 50, peer: 'by hand', theirs: 100, ratio: 0.5, bar: 0.5, met: true },
        { name: 'line', unit: 'ms', ours: 310, peer: null, theirs: null, ratio: null, bar: 300, met: false },
      ],
      environment: { node: 'v20', ratiosOfRounds: { jobs: [0.4, 0.5, 0.6] } },
    })
    expect(asTable(results)).toMatch(
      /ok +jobs .*0\.5 x \(0\.4 to 0\.6\).*at least 0\.5 x\nMISSED +line .*at most 300 ms/,
    )
  })
})

describe('rows', () => {
  const nothing = { scratch: '', log: () => undefined, options: {}, note: () => undefined }

  it('give no two figures one name', async () => {
    const row = async () => [printed(1, { name: 'depth', unit: '/s' })]
    await expect(runRows({ row })(nothing)).resolves.toHaveLength(1)
    await expect(runRows({ row, again: row })(nothing)).rejects.toThrow('two figures of this bench are named "depth"')
  })
})

describe('programs', () => {
  it('are found by their names, and an unknown name says which there are', async () => {
    const here = new URL('fixtures/', import.meta.url)
    expect(programs(here, 'bench')).toEqual(['sample'])
    await expect(runProgram(here, 'bench', 'smaple')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'there is no bench named "smaple"',
      hint: 'There are: sample. Run: npm run bench -- NAME',
    })
    await expect(runProgram(here, 'bench', '../main')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(runProgram(here, 'bench', 'sample')).resolves.toEqual([])
  })

  it('get the options of the command line and say to what their figures belong', async () => {
    const facts: unknown[] = []
    const note = (fact: string, value: unknown): void => void facts.push([fact, value])
    const here = new URL('fixtures/', import.meta.url)
    await runProgram(here, 'bench', 'sample', { options: { backend: 'redis' }, note })
    expect(facts).toEqual([['options', { backend: 'redis' }]])
    expect(asTable([], { redis: { appendonly: 'yes' } })).toMatch(/^redis: {"appendonly":"yes"}$/m)
  })
})
