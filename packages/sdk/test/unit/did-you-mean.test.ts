import { expect, test } from 'vitest'
import { didYouMean } from '../../src/config/did-you-mean.js'

test.each([
  ['backnd', 'backend'],
  ['stroe', 'store'],
  ['Machines', 'machines'],
  ['machine', 'machines'],
  ['flies', 'files'],
  ['zzz', undefined],
  ['', undefined],
])('%s is probably %s', (word, meant) => {
  expect(didYouMean(word, ['backend', 'store', 'files', 'machines'])).toBe(meant)
})
