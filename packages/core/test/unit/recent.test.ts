/** One look for all who ask within its time; `now` always looks; a failed look is forgotten. */
import { expect, it } from 'vitest'
import { systemClock } from '../../src/clock.js'
import { Recent } from '../../src/recent.js'

function counted(answers: readonly (number | Error)[]) {
  let time = 0
  let looks = 0
  const read = async (): Promise<number> => {
    const answer = answers[looks++]
    if (typeof answer === 'number') return answer
    throw answer ?? new Error('asked too often')
  }
  const recent = new Recent({ ...systemClock, monotonic: () => time }, 1_000, read)
  return { recent, pass: (ms: number) => (time += ms), looks: () => looks }
}

it('looks once for all who ask within its time', async () => {
  const { recent, pass, looks } = counted([1, 2])
  expect(await Promise.all([recent.recently(), recent.recently()])).toEqual([1, 1])
  pass(1_000)
  expect(await recent.recently()).toBe(1)
  pass(1)
  expect(await recent.recently()).toBe(2)
  expect(looks()).toBe(2)
})

it('looks again for who asks for now, and remembers that', async () => {
  const { recent } = counted([1, 2])
  expect(await recent.recently()).toBe(1)
  expect(await recent.now()).toBe(2)
  expect(await recent.recently()).toBe(2)
})

it('forgets a look that failed', async () => {
  const { recent } = counted([new Error('busy'), 7])
  await expect(recent.recently()).rejects.toThrow('busy')
  expect(await recent.recently()).toBe(7)
})
