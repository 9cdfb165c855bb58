/** Typed queues: the schema checks both sides; any Standard Schema does, also one that answers later. */
import type { JsonValue } from '@muster/core'
import { expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { defineQueue } from '../../src/queue-definition.js'
import type { StandardSchema } from '../../src/standard-schema.js'
import { empty, eventually, start } from './kit.js'

const mail = defineQueue('q', {
  schema: z.object({ to: z.string(), copies: z.coerce.number().default(1), at: z.array(z.object({ day: z.int() })) }),
})

test('what is published and what is delivered have the types of the schema, and its transforms take place', async () => {
  const { q } = await start()
  await q.publish(mail, { to: 'ada', copies: '2', at: [] })
  await q.publishMany(mail, [{ body: { to: 'alan', at: [{ day: 1 }] }, priority: 9 }])
  const first = await q.receiveMessage(mail)
  expectTypeOf(first!.body).toEqualTypeOf<{ to: string; copies: number; at: { day: number }[] }>()
  expect(first?.body).toEqual({ to: 'alan', copies: 1, at: [{ day: 1 }] })
  expect((await q.receiveMessage(mail))?.body).toEqual({ to: 'ada', copies: 2, at: [] })
})

test('publish refuses what does not fit, naming the path, and nothing of the batch is in', async () => {
  const { q } = await start()
  const wrong = { to: 'ada', at: [{ day: 1 }, { day: 'x' }] } as never
  await expect(q.publish(mail, wrong)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringMatching(/^message\.at\.1\.day: /) as string,
  })
  await expect(q.publishMany(mail, [{ body: { to: 'alan', at: [] } }, { body: wrong }])).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringMatching(/^messages\[1\]\.at\.1\.day: /) as string,
  })
  expect(await q.countQueueMessages(mail)).toMatchObject(empty)
})

test('publish checks what will arrive: a value that JSON changes into one that does not fit is refused here, not there', async () => {
  const { q } = await start()
  const dated = defineQueue('q', { schema: z.object({ at: z.date() }) })
  await expect(q.publish(dated, { at: new Date() })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('a delivery that does not fit becomes a dead letter with the reason, and the next is handed out', async () => {
  const { q } = await start()
  await q.publishMany('q', [{ body: { to: 1 } }, { body: { to: 'ada', at: [] } }, { body: null }])
  expect((await q.receiveMessage(mail))?.body.to).toBe('ada')
  const dead: unknown[] = []
  q.on('dead', (event) => dead.push(event))
  q.consume(mail, () => expect.fail('handled'))
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject({ dead: 2 }))
  const { letters } = await q.deadLetters('q')
  expect(letters.map(({ reason }) => reason)).toEqual(['rejected', 'rejected'])
  expect(letters[0]?.detail).toMatch(/^body\.to: .*; body\.at: /)
  expect(dead).toMatchObject([{ queue: 'q', reason: 'rejected' }])
})

test('a schema that answers later', async () => {
  const { q } = await start()
  const late: StandardSchema<string, { text: string }> = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: async (value) =>
        value === 'no'
          ? { issues: [{ message: 'said no', path: [{ key: 'a' }, 0] }] }
          : { value: { text: String(value) } },
    },
  }
  const queue = defineQueue('q', { schema: late })
  await expect(q.publish(queue, 'no')).rejects.toThrow('message.a.0: said no')
  await q.publishMany(queue, [{ body: 'one' }])
  await q.publish('q', 'no')
  const seen: unknown[] = []
  q.consume(queue, ({ body }) => seen.push(body), { concurrency: 2 })
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject({ ...empty, dead: 1 }))
  expect(seen).toEqual([{ text: 'one' }])
})

test('a schema that throws is a handler that fails: the message is retried, not refused', async () => {
  const { q } = await start()
  let broken = true
  const schema = z.string().refine(() => {
    if (broken) throw new Error('the database of words is away')
    return true
  })
  const retried: unknown[] = []
  q.on('retried', (event) => {
    retried.push(event)
    broken = false
  })
  q.consume(defineQueue('q', { schema, retry: { firstMs: 0 } }), () => undefined)
  await q.publish('q', 'word')
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  expect(retried).toMatchObject([{ tries: 1, delayMs: 0, reason: 'the database of words is away' }])
})

test('a definition carries the settings of its queue', async () => {
  const { q } = await start()
  const once = defineQueue('once', { maxTries: 1, limit: 1 })
  await q.declare(once)
  await q.publish(once, 'a')
  await expect(q.publish(once, 'b')).rejects.toMatchObject({ code: 'QUEUE_FULL' })
  const delivery = await q.receiveMessage(once)
  expectTypeOf(delivery!.body).toEqualTypeOf<JsonValue>()
  await delivery?.retry()
  expect(await q.countQueueMessages(once)).toMatchObject({ ...empty, dead: 1 })
})

test('a definition with a wrong name, or with a schema that is none, is refused at once', () => {
  expect(() => defineQueue('')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  expect(() => defineQueue('q', { schema: {} as never })).toThrow(/Standard Schema/)
})
