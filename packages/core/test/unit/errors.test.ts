/** The table of errors: every code is documented, and an error is recognised across copies of the package. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ERRORS, MusterError, isMusterError, type ErrorCode } from '../../src/errors.js'

const codes = Object.keys(ERRORS) as ErrorCode[]

describe('the table of errors', () => {
  it.each(codes)('%s: the code is the key, and meaning and hint are sentences', (key) => {
    expect(key).toMatch(/^[A-Z]+(_[A-Z]+)*$/)
    expect(new MusterError(key, 'x').code).toBe(key)
    expect(ERRORS[key].meaning).toMatch(/^([A-Z]|git ).*\.$/)
    expect(ERRORS[key].hint.length).toBeGreaterThan(10)
  })

  it('is listed in docs/errors.md, every code of it and no other', () => {
    const page = readFileSync(new URL('../../../../docs/errors.md', import.meta.url), 'utf8')
    const listed = [...page.matchAll(/^\| `([A-Z_]+)`/gm)].map(([, code]) => code)
    expect(listed.sort()).toEqual([...codes].sort())
  })
})

describe('MusterError', () => {
  it('takes hint and retryable from the table unless this case differs', () => {
    expect(new MusterError('STORE_BUSY', 'locked')).toMatchObject({ retryable: true, hint: ERRORS.STORE_BUSY.hint })
    const own = new MusterError('STORE_BUSY', 'locked', { hint: 'wait', retryable: false, details: { pid: 7 } })
    expect(own.toJSON()).toEqual({
      code: 'STORE_BUSY',
      message: 'locked',
      hint: 'wait',
      retryable: false,
      details: { pid: 7 },
    })
  })

  it('keeps its cause, and has none where none was given', () => {
    const cause = new Error('EIO')
    expect(new MusterError('STORE_FAILED', 'x', { cause }).cause).toBe(cause)
    expect('cause' in new MusterError('STORE_FAILED', 'x')).toBe(false)
  })

  it('is recognised by its code, also from another installed copy', () => {
    const foreign = Object.assign(new Error('x'), { code: 'LEASE_LOST', hint: 'y' })
    expect(isMusterError(foreign)).toBe(true)
    expect(isMusterError(foreign, 'LEASE_LOST')).toBe(true)
    expect(isMusterError(foreign, 'QUEUE_FULL')).toBe(false)
    expect(isMusterError(Object.assign(new Error('x'), { code: 'ENOENT', hint: 'y' }))).toBe(false)
    expect(isMusterError(Object.assign(new Error('x'), { code: 'constructor', hint: 'y' }))).toBe(false)
    expect(isMusterError({ code: 'LEASE_LOST', hint: 'y' })).toBe(false)
  })
})
