/**
 * What the sections of the queue suite share: the factory that a backend brings, a queue of its own for each test, and how times are judged.
 * Invariant: an expectation never asks which backend it runs on; only `capabilities` may be asked, and only through `offered`.
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { systemClock, systemIds, type Clock, type JsonValue } from '@muster/core'
import type {
  BackendCapabilities,
  Capability,
  OutgoingMessage,
  QueueBackend,
  RawDelivery,
  ReceiveRequest,
  SettleOutcome,
  Settlement,
} from '@muster/orchestrator'
import { expect, onTestFinished, test } from 'vitest'
import type { Orders } from './child.js'
import { Peer } from './peer.js'

export { seeded } from './work.js'

/** What a backend brings to be proven. */
export interface QueueBackendFactory {
  /** Shown in the names of the tests. */
  readonly name: string
  /** What it declares; the suite checks that the opened one says the same. */
  readonly capabilities: BackendCapabilities
  /** Opens it on a namespace that nobody else uses; the suite closes it. */
  open(options: OpenOptions): Promise<QueueBackend>
  /** How other processes open it. Required where `shared` is declared. */
  readonly processes?: OtherProcesses
  /** The server behind it, to be harmed. Required where `shared` is declared. It must keep what it confirmed over a `kill`. */
  readonly server?: HarmableServer
}

/** What a backend is opened with. */
export interface OpenOptions {
  readonly namespace: string
  readonly clock: Clock
}

/** How another process opens the same backend. */
export interface OtherProcesses {
  /** URL of a JavaScript module that exports `open(namespace, config): Promise<QueueBackend>`; openBackend unless given. */
  readonly module?: string
  /** What that is given: the address of the server. */
  readonly config: JsonValue
}

/** A server that the suite may kill, freeze and put behind a bad network. A QueueServer of @muster/testing/servers has all but the last. */
export interface HarmableServer {
  readonly host: string
  readonly port: number
  /** SIGKILL; nobody listens until `start`. */
  kill(): Promise<void>
  /** A graceful end; nobody listens until `start`. */
  stop(): Promise<void>
  /** Up again at the same port with the data it had. */
  start(): Promise<void>
  pause(): Promise<void>
  unpause(): Promise<void>
  /** What the server holds, by kind, in numbers that are the same again when nothing is left behind: keys, queues, connections. */
  holdings?(): Promise<Readonly<Record<string, number>>>
  /** The same backend, reached through a proxy at this address: how to open it here, and the config for `processes.module`. */
  proxied(proxy: { readonly host: string; readonly port: number }): {
    open(options: OpenOptions): Promise<QueueBackend>
    readonly config: JsonValue
  }
}

/** A backend opened for one test, with a queue of its own. */
export interface Bench {
  readonly backend: QueueBackend
  readonly namespace: string
  readonly queue: string
  /** Publishes texts in one batch and expects all to be accepted; gives the ids. */
  publish(texts: readonly string[], options?: Omit<OutgoingMessage, 'body'>): Promise<string[]>
  /** Receives with the defaults of a test: one look, up to 1,000, held for 30 s. */
  receive(request?: Partial<ReceiveRequest>): Promise<readonly RawDelivery[]>
  /** Settles one delivery. */
  settle(delivery: RawDelivery, how: WithoutReceipt<Settlement>): Promise<SettleOutcome | undefined>
}

/** Starts a process that opens the backend; it is killed when the test has ended. */
export async function startPeer(
  factory: Pick<QueueBackendFactory, 'processes'>,
  orders: Omit<Orders, 'module' | 'config'> & { readonly config?: JsonValue },
): Promise<Peer> {
  const { module, config } = factory.processes ?? expect.fail('this backend opens in no other process')
  const peer = await Peer.start({ module, config, ...orders })
  onTestFinished(() => peer.kill())
  return peer
}

type WithoutReceipt<T> = T extends unknown ? Omit<T, 'receipt'> : never

/** A namespace that nobody else uses. */
export function freshNamespace(): string {
  return `test-${systemIds.next()}`
}

/** Opens a backend for the running test, on a namespace of its own unless one is given, and closes it when the test has ended. */
export async function bench(
  factory: Pick<QueueBackendFactory, 'open'>,
  { clock = systemClock, namespace = freshNamespace() }: Partial<OpenOptions> = {},
): Promise<Bench> {
  const backend = await factory.open({ namespace, clock })
  onTestFinished(() => backend.close())
  const queue = `q-${systemIds.token().slice(0, 8)}`
  return {
    backend,
    namespace,
    queue,
    publish: async (texts, options = {}) => {
      const outcomes = await backend.publish(
        queue,
        texts.map((text) => ({ ...options, body: bytes(text) })),
      )
      expect(outcomes.map(({ status }) => status)).toEqual(texts.map(() => 'accepted'))
      return outcomes.map(({ id }) => id)
    },
    receive: (request) => backend.receive({ queue, max: 1_000, waitMs: 0, leaseMs: 30_000, ...request }),
    settle: async (delivery, how) => (await backend.settle([{ ...how, receipt: delivery.receipt }]))[0],
  }
}

/** Text as a body. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** The bodies of deliveries, or of dead letters, as text. */
export function texts(messages: readonly { readonly body: Uint8Array }[]): string[] {
  return messages.map(({ body }) => new TextDecoder().decode(body))
}

/** The only delivery of an answer that must hold exactly one. */
export function only<T>(items: readonly T[]): T {
  expect(items).toHaveLength(1)
  const [item] = items
  if (item === undefined) throw new Error('unreachable: the length was checked')
  return item
}

/**
 * A test of something that a backend may lack. Where the capability is absent the test is another one, under the same item: that the call
 * throws UNSUPPORTED_BY_BACKEND.
 */
export function offered(
  factory: QueueBackendFactory,
  capability: Capability,
  title: string,
  tests: { present: (bench: Bench) => Promise<void>; absent: (bench: Bench) => Promise<unknown> },
): void {
  if (factory.capabilities[capability]) test(title, async () => tests.present(await bench(factory)))
  else
    test(`${title} [${capability} absent: the call throws]`, async () => {
      await expect(tests.absent(await bench(factory))).rejects.toMatchObject({ code: 'UNSUPPORTED_BY_BACKEND' })
    })
}

/** Whether a count of crashes may follow from so many. Where crashes are not counted exactly, up to two that were none are in it. */
export function crashesFit({ capabilities }: QueueBackendFactory, counted: number, crashes: number): boolean {
  return counted >= crashes && counted <= crashes + (capabilities.exactCrashes ? 0 : MOST_UNREAL_CRASHES)
}

const MOST_UNREAL_CRASHES = 2

/** Collects the times of one repetition. Only lateness is forgiven now and then: everything else must hold each time. */
export interface Judge {
  /** Milliseconds since the repetition began. */
  readonly now: () => number
  /** States that something took `ms`, where `boundMs` is allowed beside the largest gap of the event loop meanwhile. */
  readonly within: (what: string, ms: number, boundMs: number) => void
}

/** Repeats a measurement until its bounds have held twice, at most three times. */
export async function judged(repetition: (judge: Judge) => Promise<void>): Promise<void> {
  const late: string[][] = []
  for (let held = 0, round = 0; held < 2; round++) {
    const misses = await lateness(repetition)
    if (misses.length === 0) held++
    else late.push(misses)
    if (late.length === 2) expect.fail(`late in 2 of ${round + 1} repetitions: ${late.flat().join('; ')}`)
  }
}

async function lateness(repetition: (judge: Judge) => Promise<void>): Promise<string[]> {
  const claims: { what: string; ms: number; boundMs: number }[] = []
  const gaps = monitorEventLoopDelay({ resolution: 2 })
  const began = performance.now()
  gaps.enable()
  await repetition({
    now: () => performance.now() - began,
    within: (what, ms, boundMs) => claims.push({ what, ms, boundMs }),
  })
  gaps.disable()
  const gapMs = gaps.max / 1e6
  return claims
    .filter(({ ms, boundMs }) => ms > boundMs + gapMs)
    .map(({ what, ms, boundMs }) => `${what}: ${ms.toFixed(1)} ms, allowed ${boundMs} + gap ${gapMs.toFixed(1)}`)
}

/** A clock whose wall time is wrong by `offsetMs`; what it measures is right. */
export function wrongClock(offsetMs: number): Clock {
  return { ...systemClock, now: () => systemClock.now() + offsetMs }
}
