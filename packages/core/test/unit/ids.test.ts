/** Identifiers: sortable by birth, unguessable where they are a proof. */
import { expect, it } from 'vitest'
import { isJobId, systemIds } from '../../src/ids.js'

it('gives job ids that sort in the order of birth and are recognised as ids', () => {
  const ids = Array.from({ length: 1_000 }, () => systemIds.next())
  expect([...ids].sort()).toEqual(ids)
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids.every(isJobId)).toBe(true)
})

it('does not take other texts for ids', () => {
  for (const text of ['', 'exp-42', '0190a1b2-0000-4000-8000-000000000000', `${systemIds.next()}\n`, '--help'])
    expect(isJobId(text), JSON.stringify(text)).toBe(false)
})

it('gives tokens of 128 bits that never repeat', () => {
  const tokens = Array.from({ length: 1_000 }, () => systemIds.token())
  for (const token of tokens) expect(token).toMatch(/^[0-9a-f]{32}$/)
  expect(new Set(tokens).size).toBe(tokens.length)
})

it('keeps the order and stays unique over many counters and milliseconds, and tells the time of birth', () => {
  const began = Date.now()
  const ids = Array.from({ length: 200_000 }, () => systemIds.next())
  for (const [index, id] of ids.entries())
    if (index > 0 && id <= ids[index - 1]!) expect.fail(`${ids[index - 1]} before ${id}`)
  expect(ids.every(isJobId)).toBe(true)
  const born = parseInt(ids[0]!.slice(0, 8) + ids[0]!.slice(9, 13), 16)
  expect(born).toBeGreaterThanOrEqual(began - 1)
  expect(born).toBeLessThanOrEqual(Date.now() + 1)
  expect(new Set(ids.map((id) => id.slice(-12))).size).toBeGreaterThan(199_990)
})
