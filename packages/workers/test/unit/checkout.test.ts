import { describe, expect, test } from 'vitest'
import { checkoutScript } from '../../src/git/checkout.js'
import { askScript, receiveScript } from '../../src/git/send-scripts.js'
import type { Payload } from '../../src/git/input.js'

const commit = 'c'.repeat(40)
const payload: Payload = {
  ...{ repo: '.', ref: 'HEAD', fetch: 'controller', run: ['true'], env: {}, artifacts: [] },
  ...{ history: 'snapshot', objectFormat: 'sha1', commit, mirror: 'a'.repeat(32) },
  origin: { kind: 'url', url: 'https://example.org/x' },
}

describe('scripts for machines', () => {
  test('a directory with a blank and a quote stays one word everywhere', () => {
    const odd = "/state of 'x'/m.git"
    const quoted = `'/state of '\\''x'\\''/m.git`
    const mirror = { id: 'm', directory: '/m', objectFormat: 'sha1', history: 'snapshot' } as const
    for (const script of [checkoutScript(odd, payload), askScript(odd, commit), receiveScript(odd, commit, mirror)]) {
      expect(script).toContain(quoted)
      expect(script.replaceAll(quoted, '')).not.toContain("of 'x'/m.git/")
    }
  })

  test('a snapshot is cut at its commit, a full history is not', () => {
    expect(checkoutScript('/m', payload)).toContain('.git/shallow')
    expect(checkoutScript('/m', { ...payload, history: 'full' })).not.toContain('shallow')
  })

  test('git cannot borrow from a directory with a line break', () =>
    expect(() => checkoutScript('/a\nb', payload)).toThrow(
      expect.objectContaining({ code: 'STATE_DIR_UNSAFE' }) as Error,
    ))
})
