/** What `transport: local` says where a host cannot be a machine. */
import { expect, test } from 'vitest'
import { localEnvironment, localTransport } from '../../src/machines/local.js'

test('transport local on macOS refuses, says why, and points to a machine over SSH', () => {
  expect(() => localTransport({ platform: 'darwin' })).toThrow(
    expect.objectContaining({
      code: 'TRANSPORT_UNSUPPORTED',
      message: expect.stringContaining('macOS') as string,
      hint: expect.stringContaining('SSH') as string,
    }),
  )
})

test("P7 a job's environment is an allow-list of ours", () => {
  const ours = { PATH: '/bin', HOME: '/h', LANG: 'C', AWS_SECRET: 'x', GIT_DIR: '/g', NODE_OPTIONS: '--x' }
  expect(localEnvironment(ours)).toEqual({ PATH: '/bin', HOME: '/h', LANG: 'C' })
})
