/** `for await` over a queue: going on acknowledges, leaving gives back, closing ends the loop. */
import { expect, test } from 'vitest'
import { aborted, empty, eventually, gate, start } from './kit.js'

const three = [1, 2, 3].map((body) => ({ body }))

test('going on to the next acknowledges, and one message is held at a time', async () => {
  const { q } = await start()
  await q.publishMany('q', three)
  const seen: unknown[] = []
  for await (const delivery of q.consume('q')) {
    seen.push(delivery.body)
    expect(await q.countQueueMessages('q')).toMatchObject({ leased: 1 })
    if (seen.length === 3) {
      await delivery.ack()
      break
    }
  }
  expect(seen).toEqual([1, 2, 3])
  expect(await q.countQueueMessages('q')).toMatchObject(empty)
})

test('leaving by break or by throw gives back uncounted', async () => {
  const { q } = await start()
  await q.publishMany('q', three)
  for await (const { body } of q.consume('q')) if (body === 2) break
  expect(await q.countQueueMessages('q')).toMatchObject({ ...empty, ready: 2 })
  const loop = async (): Promise<void> => {
    for await (const { body } of q.consume('q')) throw new Error(`no ${JSON.stringify(body)}`)
  }
  await expect(loop()).rejects.toThrow('no 2')
  expect(await q.receiveMessage('q')).toMatchObject({ body: 2, tries: 0, crashes: 0 })
})

test('the verbs of a delivery go before', async () => {
  const { q } = await start()
  await q.publishMany('q', three)
  for await (const delivery of q.consume('q')) {
    if (delivery.body === 1) await delivery.dead('no')
    else if (delivery.body === 2) await delivery.retry({ delayMs: 60_000 })
    else break
  }
  expect(await q.countQueueMessages('q')).toMatchObject({ ready: 1, delayed: 1, leased: 0, dead: 1 })
})

test('nothing is taken before the loop asks', async () => {
  const { q } = await start()
  await q.publishMany('q', three)
  const stream = q.consume('q')
  expect(await q.countQueueMessages('q')).toMatchObject({ ready: 3 })
  expect(await stream.next()).toMatchObject({ done: false, value: { body: 1 } })
  await stream.return?.()
  expect(await q.countQueueMessages('q')).toMatchObject({ ...empty, ready: 3 })
  expect(await stream.next()).toEqual({ done: true, value: undefined })
})

test('the lease is extended while the body works', async () => {
  const { q, calls } = await start()
  await q.publish('q', 1)
  for await (const delivery of q.consume('q', { leaseMs: 100 })) {
    await eventually(() => expect(calls.extend.length).toBeGreaterThan(4))
    await delivery.ack()
    break
  }
  expect(await q.countQueueMessages('q')).toMatchObject(empty)
})

test('closing the orchestrator ends a loop that waits, and one whose body works when it goes on', async () => {
  const { q } = await start()
  const [reached, closing] = [gate(), gate()]
  await q.publish('q', 1)
  const ends = (async () => {
    for await (const _ of q.consume('idle')) expect.fail('nothing there')
    return 'idle ended'
  })()
  const works = (async () => {
    for await (const _ of q.consume('q')) {
      reached.open()
      await closing.opened
    }
    return 'work ended'
  })()
  await reached.opened
  const closed = q.close()
  expect(await ends).toBe('idle ended')
  closing.open()
  expect(await works).toBe('work ended')
  await closed
  expect(() => q.consume('q')).toThrow(expect.objectContaining({ code: 'BACKEND_CLOSED' }))
})

test('aborting rejects a loop that waits with AbortError, and aborts the signal of a body that works', async () => {
  const { q } = await start()
  const abort = new AbortController()
  const waits = (async () => {
    for await (const _ of q.consume('idle', { signal: abort.signal })) expect.fail('nothing there')
  })()
  await q.publish('q', 1)
  const [reached, reasons] = [gate(), [] as unknown[]]
  const works = (async () => {
    for await (const delivery of q.consume('q', { signal: abort.signal })) {
      reached.open()
      reasons.push(await aborted(delivery.signal))
      await delivery.release()
    }
  })()
  await reached.opened
  abort.abort()
  await expect(waits).rejects.toMatchObject({ name: 'AbortError' })
  await expect(works).rejects.toMatchObject({ name: 'AbortError' })
  expect(reasons).toMatchObject([{ code: 'DELIVERY_CANCELLED' }])
  expect(await q.countQueueMessages('q')).toMatchObject({ ...empty, ready: 1 })
})

test('concurrency is refused: a loop is one message at a time', async () => {
  const { q } = await start()
  expect(() => q.consume('q', { concurrency: 2 } as never)).toThrow(/concurrency/)
})
