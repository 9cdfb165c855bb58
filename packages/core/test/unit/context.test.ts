/** The job's context reaches every line that is logged while the job is handled, however deep. */
import { expect, it } from 'vitest'
import { currentJob, withJob } from '../../src/context.js'
import { createLogger } from '../../src/logger.js'

it('puts the id and the attempt on every pino line, across awaits, and keeps two jobs apart', async () => {
  const lines: { msg: string; jobId?: string; attempt?: number }[] = []
  const destination = { write: (line: string) => lines.push(JSON.parse(line) as (typeof lines)[number]) }
  const logger = createLogger({ level: 'info', destination })
  const handle = async (name: string): Promise<void> => {
    await Promise.resolve()
    logger.info({}, name)
    await new Promise((resolve) => setImmediate(resolve))
    logger.info({}, name)
  }
  await Promise.all([
    withJob({ jobId: 'a', attempt: 1 }, () => handle('of a')),
    withJob({ jobId: 'b' }, () => handle('of b')),
    handle('of none'),
  ])
  expect(lines).toHaveLength(6)
  for (const { msg, jobId, attempt } of lines)
    expect([jobId, attempt]).toEqual({ 'of a': ['a', 1], 'of b': ['b', undefined] }[msg] ?? [undefined, undefined])
})

it('nests, and ends with the work', () => {
  expect(currentJob()).toBeUndefined()
  withJob({ jobId: 'outer' }, () => {
    withJob({ jobId: 'inner', attempt: 2 }, () => {
      expect(currentJob()).toEqual({ jobId: 'inner', attempt: 2 })
    })
    expect(currentJob()).toEqual({ jobId: 'outer' })
  })
  expect(currentJob()).toBeUndefined()
})
