/** What libsql throws becomes one of our codes, whatever it left out. */
import { expect, it } from 'vitest'
import { networkFileSystem, prepareFile } from '../../src/sql/sqlite-files.js'
import { storeError } from '../../src/sql/sqlite-errors.js'

const sqlite = (rawCode: number, message = 'x') => Object.assign(new Error(message), { rawCode })

it.each([
  [sqlite(5), 'STORE_BUSY', true],
  [sqlite(517), 'STORE_BUSY', true],
  [sqlite(8), 'STORE_READ_ONLY', false],
  [sqlite(1544), 'STORE_READ_ONLY', false],
  [sqlite(1032), 'STORE_REPLACED', false],
  [sqlite(11), 'STORE_CORRUPT', false],
  [sqlite(26), 'STORE_CORRUPT', false],
  [sqlite(13), 'STORE_FULL', true],
  [sqlite(14), 'STORE_NOT_FOUND', false],
  [new Error('Unable to open connection to local database jobs.db: 14'), 'STORE_NOT_FOUND', false],
  [sqlite(19, 'ILLEGAL_TRANSITION queued -> completed'), 'ILLEGAL_TRANSITION', false],
  [Object.assign(new Error('x'), { code: 'EACCES' }), 'STORE_READ_ONLY', false],
  [Object.assign(new Error('x'), { code: 'ENOSPC' }), 'STORE_FULL', true],
  [new Error('anything else'), 'STORE_FAILED', false],
])('%s is %s', (error, code, retryable) => {
  expect(storeError(error, 'jobs.db')).toMatchObject({ code, retryable, cause: error })
})

it('knows the network file systems by their type, and local ones as local', async () => {
  const on = (type: number) => networkFileSystem('/', () => Promise.resolve(type))
  expect(await on(0x6969)).toBe('NFS')
  // statfs gives a signed number on some platforms.
  expect(await on(0xfe534d42 | 0)).toBe('SMB')
  expect(await on(0xef53)).toBeUndefined()
  const refused = prepareFile('/tmp/jobs.db', { createDirectory: false, typeOf: () => Promise.resolve(0x6969) })
  await expect(refused).rejects.toMatchObject({ code: 'STORE_ON_NETWORK_FS' })
})
