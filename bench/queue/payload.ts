/** What the queues carry: about 200 bytes of JSON, each another one, as a service that sends mail would write them. */
import type { Mail } from './typed.js'

/** The body with this number. */
export function payload(index: number): Mail {
  return {
    number: index,
    kind: 'mail.send',
    to: `user-${index}@example.org`,
    subject: 'Your report for this week is ready',
    template: 'weekly-report',
    locale: 'en-GB',
    attachments: ['report.pdf', 'summary.csv'],
    tracked: true,
  }
}

/** So many bodies, in a row. */
export function payloads(count: number): readonly Mail[] {
  return Array.from({ length: count }, (_, index) => payload(index))
}

/** `items` in groups of at most `size`, in their order. */
export function inBatches<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  const batches: (readonly T[])[] = []
  for (let at = 0; at < items.length; at += size) batches.push(items.slice(at, at + size))
  return batches
}
