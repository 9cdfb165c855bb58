/** The table of the queue bench: nothing is measured here but that rows can be told apart, and that the peers do what is counted. */
import { describe, expect, it } from 'vitest'
import { best } from '../queue/best.js'
import { withFastq, withPQueue } from '../queue/in-process.js'
import { localLimit } from '../queue/local-limit.js'
import { local } from '../queue/local.js'
import { drain, inFlight, openOurs, publishAll } from '../queue/ours.js'
import { inBatches, payload, payloads } from '../queue/payload.js'
import { lazyServers } from '../queue/servers.js'
import { BACKENDS, rowsOf, table } from '../queue/table.js'

const context = { scratch: '', log: () => undefined, options: {}, note: () => undefined }
const servers = lazyServers(context)

describe('the rows', () => {
  it('have names of their own across all backends, since BENCH_ROWS picks by them', () => {
    const names = BACKENDS.flatMap((backend) => Object.keys(table(servers)[backend]))
    expect(new Set(names).size).toBe(names.length)
    expect(Object.keys(rowsOf(servers, undefined))).toEqual(names)
  })

  it('are those of one backend where one is named, and an unknown one is refused with the names there are', () => {
    expect(Object.keys(rowsOf(servers, 'local'))).toEqual(['local', 'localLimit', 'localDelays', 'localDeep'])
    expect(() => rowsOf(servers, 'kafka')).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', hint: 'There are: local, redis, rabbitmq.' }),
    )
  })
})

describe('the payload', () => {
  it('is about 200 bytes of JSON, each another one', () => {
    const bytes = payloads(1_000).map((body) => JSON.stringify(body).length)
    expect(Math.min(...bytes)).toBeGreaterThan(180)
    expect(Math.max(...bytes)).toBeLessThan(220)
    expect(payload(1)).not.toEqual(payload(2))
  })

  it('goes in batches without loss and in order', async () => {
    const items = [...Array(10).keys()]
    expect(inBatches(items, 4)).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ])
    const seen: number[] = []
    let [live, most] = [0, 0]
    await inFlight(items, { batch: 2, flight: 3 }, async (batch) => {
      most = Math.max(most, ++live)
      await Promise.resolve()
      seen.push(...batch)
      live -= 1
    })
    expect(seen.sort((a, b) => a - b)).toEqual(items)
    expect(most).toBe(3)
  })
})

describe('both sides', () => {
  it('count what they did: every row of local gives a figure from messages that went through', async () => {
    const figures = [...(await local(context, 200)), ...(await localLimit(context, 200))]
    for (const { ours } of figures) expect(ours).toBeGreaterThan(0)
  })

  it('say so when a message is missing', async () => {
    const ours = await openOurs('local')
    await publishAll(ours, 'short', payloads(9), { batch: 4, flight: 2 })
    await expect(drain(ours, 'short', 10, { batch: 4, flight: 1 })).rejects.toThrow('short is empty after 9 of 10')
    await ours.close()
  })

  it('run every task of the peers in this process', async () => {
    for (const peer of [withPQueue, withFastq]) expect(await peer(payloads(50), 3)).toBeGreaterThan(0)
  })

  it('are taken at their best, by the median of the trials and not by one that was lucky', async () => {
    const rates =
      (...figures: number[]) =>
      async () =>
        figures.shift() ?? NaN
    const variants = [
      { name: 'lucky once', run: rates(0, 10, 99, 10) },
      { name: 'steady', run: rates(0, 20, 20, 20) },
    ]
    expect((await best('who', variants, context)).name).toBe('steady')
  })
})
