/** The parts of the RabbitMQ backend that need no server: names, delays in digits, what travels with a message, options, errors. */
import type { Message } from 'amqplib'
import { expect, test } from 'vitest'
import { parseAddress } from '../../src/address.js'
import { capabilitiesOf, readConfig } from '../../src/backends/rabbitmq/config.js'
import { open, seal, type Envelope } from '../../src/backends/rabbitmq/envelope.js'
import { dialFailed, operationFailed } from '../../src/backends/rabbitmq/errors.js'
import { digitsOf } from '../../src/backends/rabbitmq/ladder.js'
import { namesOf, prefixOf, type QueueNames } from '../../src/backends/rabbitmq/names.js'

const address = await parseAddress('amqp://someone:hunter2@localhost/place')

function valuesOf({ main, suspect, dead, lock }: QueueNames): string[] {
  return [main, suspect, dead, lock]
}

test('names of different queues and namespaces never meet, and none is longer than the server allows', () => {
  const odd = [
    'a',
    'a:b',
    'q:a',
    'dead:a',
    '#',
    '#a',
    'ü'.repeat(255),
    `${'ü'.repeat(254)}x`,
    'x'.repeat(255),
    '😀'.repeat(255),
  ]
  const spaces = ['a', 'a:q', 'a:q:b', '%3A', ':', 'amq.x', 'AMQ.x', 'ü'.repeat(255)]
  const names = spaces.flatMap((space) => odd.flatMap((queue) => valuesOf(namesOf(prefixOf(space), queue))))
  expect(new Set(names).size).toBe(names.length)
  expect(Math.max(...names.map((name) => Buffer.byteLength(name)))).toBeLessThanOrEqual(255)
  expect(names.filter((name) => /^amq\./i.test(name))).toEqual([])
  // A name that imitates the hash of another is hashed itself.
  const hashed = namesOf('n:', 'x'.repeat(255)).main.slice('n:q:'.length)
  expect(namesOf('n:', hashed).main).not.toBe(`n:q:${hashed}`)
})

test.each([1, 15, 16, 17, 1_000, 1_024, 65_535, 65_536, 4_194_304, 2_592_000_000])(
  'a delay of %d ms in digits is never shorter, and at most one step longer',
  (delayMs) => {
    const digits = digitsOf(delayMs)
    expect(digits.every((digit) => digit >= 0 && digit < 64)).toBe(true)
    expect(digits.length).toBeLessThanOrEqual(5)
    const ms = digits.reduce((sum, digit, level) => sum + digit * 16 * 64 ** level, 0)
    expect(ms).toBeGreaterThanOrEqual(delayMs)
    expect(ms - delayMs).toBeLessThan(16)
  },
)

const plain: Envelope = { id: 'id', priority: 7, tries: 0, crashes: 0, publishedAt: 1_795_385_403_746 }
const death = { reason: 'max-tries', detail: 'ü ', diedAt: 1_795_385_403_747 } as const

function arrived(properties: Partial<Message['properties']>): Envelope {
  return open({ properties } as Message, () => 'made up')
}

function travelled(envelope: Envelope, prioritised: boolean): Envelope {
  const sealed = seal(envelope, prioritised)
  const { priority, messageId, type } = sealed
  return arrived({ priority, messageId, type, headers: sealed.headers as Record<string, unknown> | undefined })
}

test.each([
  ['as it is published', plain],
  ['after tries and crashes', { ...plain, tries: 3, crashes: 4 }],
  ['dead', { ...plain, tries: 5, death }],
  ['with an id of 255 two-byte characters', { ...plain, id: 'ü'.repeat(255) }],
])('a message %s arrives as it was sent', (_, envelope) => {
  expect(travelled(envelope, true)).toEqual(envelope)
  expect(travelled({ ...envelope, priority: 5 }, false)).toEqual({ ...envelope, priority: 5 })
})

test('a detail that would not fit into a frame is cut at a character', () => {
  const { detail = '' } = travelled({ ...plain, death: { ...death, detail: 'ü'.repeat(100_000) } }, true).death ?? {}
  expect(Buffer.byteLength(detail)).toBeLessThan(33_000)
  expect(detail).toMatch(/^ü+…$/)
})

test('a message of a stranger gets what it lacks', () => {
  expect(arrived({ type: 'order.created', headers: { tries: -1 }, priority: 200 })).toEqual({
    id: 'made up',
    priority: 9,
    tries: 0,
    crashes: 0,
    publishedAt: 0,
  })
})

test('the figures that are stated follow from the options', async () => {
  const of = async (query: string): Promise<ReturnType<typeof capabilitiesOf>> =>
    capabilitiesOf(readConfig(await parseAddress(`amqp://localhost${query}`), 'n'))
  expect(await of('')).toMatchObject({ priority: true, maxLeaseMs: 1_500_000, frozenHolderBoundMs: 15_000 })
  expect(await of('?queue=quorum&heartbeat=10s')).toMatchObject({
    priority: false,
    exactCrashes: false,
    frozenHolderBoundMs: 30_000,
  })
  expect(await of('?consumerTimeout=10m')).toMatchObject({ maxLeaseMs: 540_000 })
})

test.each([
  '?queue=stream',
  '?heartbeat=0s',
  '?heartbeat=x',
  '?connectTimeout=1ms',
  '?prefetch=1',
  '?consumerTimeout=1s',
])('the option %s is refused, naming it and nothing that was given', async (query) => {
  const [option = '', value = ''] = query.slice(1).split('=')
  const read = async (): Promise<unknown> => readConfig(await parseAddress(`amqp://localhost${query}`), 'n')
  const error = await read().catch((failure: unknown) => failure)
  expect(error).toMatchObject({ code: 'CONFIG_INVALID', details: { option } })
  expect(String(error)).toContain(option)
  expect(String(error)).not.toContain(`${option} ${value}`)
})

test('what cannot be mended by waiting is no BACKEND_UNAVAILABLE', () => {
  const said = (message: string, code?: number | string): Error => Object.assign(new Error(message), { code })
  expect(dialFailed(address, said('Handshake terminated by server: 403 (ACCESS-REFUSED) with ...')).code).toBe(
    'CONFIG_INVALID',
  )
  expect(dialFailed(address, said('Expected ConnectionOpenOk; got <ConnectionClose channel:0>')).code).toBe(
    'CONFIG_INVALID',
  )
  expect(dialFailed(address, said('Expected ConnectionOpenOk; got <Heartbeat>')).code).toBe('BACKEND_UNAVAILABLE')
  expect(dialFailed(address, said('connect ECONNREFUSED', 'ECONNREFUSED'))).toMatchObject({
    code: 'BACKEND_UNAVAILABLE',
    retryable: true,
  })
  expect(operationFailed(address, said('... 320 (CONNECTION-FORCED)', 320), 'x').code).toBe('BACKEND_UNAVAILABLE')
  expect(operationFailed(address, said('... 403 (ACCESS-REFUSED)', 403), 'x').code).toBe('CONFIG_INVALID')
})
