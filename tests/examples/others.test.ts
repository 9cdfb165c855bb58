/** The other examples run as they stand. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { example, Home } from './run.js'

let home: Home
beforeAll(async () => {
  home = await Home.make()
})
afterAll(() => home.close())

test('a worker of one’s own, through the seam that third parties use', async () => {
  const lines = await home.node(['--import', 'tsx', example('custom-worker.ts')])
  expect(lines[0]).toMatch(/^evaluated on /)
  const numbers = lines.slice(1).join(' ').match(/\d+/g)?.map(Number)
  expect(numbers).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512])
})

test('the notebook, all cells in one go', async () => {
  const lines = await home.node(['--import', 'tsx', example('notebook.ts')])
  expect(lines).toContain('training 1185 parameters on 480 points for 60 epochs')
  expect(lines.at(-2)).toMatch(/spirals\.svg$/)
  expect(lines.at(-1)).toBe('completed')
})

test('queues alone, in ten lines', async () => {
  const lines = await home.node(['--import', 'tsx', example('queue.ts')])
  expect(lines).toEqual(["sent { to: 'alan' }", "sent { to: 'ada' }", 'dead nobody no such address'])
})
