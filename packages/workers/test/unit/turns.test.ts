import { expect, test } from 'vitest'
import { Turns } from '../../src/git/turns.js'

test('work of one name takes turns, of two names it does not, and a failure ends only its own turn', async () => {
  const turns = new Turns()
  const log: string[] = []
  let open = (): void => undefined
  const gate = new Promise<void>((resolve) => (open = resolve))
  const first = turns.take('a', async () => {
    await gate
    log.push('first')
    throw new Error('failed')
  })
  const second = turns.take('a', async () => void log.push('second'))
  await turns.take('b', async () => void log.push('other'))
  expect(log).toEqual(['other'])
  open()
  await expect(first).rejects.toThrow('failed')
  await second
  expect(log).toEqual(['other', 'first', 'second'])
})
