/** Every action of the audit trail has a sentence for people (P8), whatever facts it carries. */
import { expect, it } from 'vitest'
import { ACTIONS, renderSentence } from '../../src/events.js'
import { JOB_EVENTS } from '../../src/job-state.js'

it.each(ACTIONS)('P8: %s says what happened, with its reason', (action) => {
  const facts = { actor: 'user:ada', attempt: 2, data: { reason: 'timeout', machine: 'gpu1', text: 'after 4 h' } }
  const sentence = renderSentence({ action, ...facts })
  expect(sentence).not.toBe('')
  expect(sentence).not.toMatch(/undefined|null|\[object/)
})

it.each(ACTIONS.filter((action) => action !== 'note'))('%s needs no facts', (action) => {
  const sentence = renderSentence({ action, actor: 'user:ada', attempt: 0, data: {} })
  expect(sentence.trim()).not.toBe('')
  expect(sentence).not.toMatch(/undefined|null|: $|\(\)/)
})

it('keeps the positions that records store: what is here may only be appended to', () => {
  expect(ACTIONS.slice(0, 10)).toEqual(JOB_EVENTS)
  expect(ACTIONS.slice(10, 20).join(' ')).toBe(
    'cancel-requested unconfirmed confirmed stuck freed collected adopted report-refused note pruned',
  )
})
