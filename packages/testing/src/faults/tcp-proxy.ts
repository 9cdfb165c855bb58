/**
 * A TCP proxy on loopback that makes a network as bad as one likes. Invariant: whatever its faults, bytes that pass are the
 * bytes that were sent, in their order; a fault only delays them, holds them, or ends the connection.
 */
import { once, setMaxListeners } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { free, pump, type Conditions } from './pump.js'
import { reset } from './reset.js'

/** A proxy that listens. Faults hold for the connections that live and for those to come, until they are taken back. */
export interface TcpProxy {
  readonly host: string
  /** Stays the same, also while connections are refused. */
  readonly port: number
  /** Ends every live connection at once, on both sides by RST. New ones are welcome. */
  cut(): void
  /** While on, connections are accepted and stay, but no byte passes either way and no end is passed on; off, what was sent comes through. */
  blackHole(on: boolean): void
  /** The live connections die without a word: they stay open and nothing passes any more, ever. New ones are welcome. */
  strand(): void
  /** Each byte arrives so many ms later, in each direction; 0 ends it. */
  delay(ms: number): void
  /** At most so many bytes a second on each connection and direction; `Infinity` ends it. */
  throttle(bytesPerSecond: number): void
  /** While on, nobody listens: connecting is refused at once. Live connections stay. */
  refuse(on: boolean): Promise<void>
  /** New connections lead there from now on, as when a name or an address moves to another server. Live ones stay. */
  leadTo(target: TcpTarget): void
  /** How many connections are open just now. */
  readonly connections: number
  /** How many were accepted, ever. */
  readonly accepted: number
  /** Cuts all and stops listening. */
  close(): Promise<void>
}

/** Where a proxy leads. */
export interface TcpTarget {
  readonly host: string
  readonly port: number
}

const HOST = '127.0.0.1'

/** Starts a proxy in front of `target`, at a port of 127.0.0.1 that the system chooses. */
export async function tcpProxy(target: TcpTarget): Promise<TcpProxy> {
  let conditions = fresh({ held: false, delayMs: 0, bytesPerSecond: Infinity })
  const pairs = new Set<() => void>()
  let goal = target
  let accepted = 0
  const serve = (from: Socket): void => {
    accepted += 1
    const end = join(from, connect({ ...goal, allowHalfOpen: true }), conditions, () => pairs.delete(end))
    pairs.add(end)
  }
  let server: Server | undefined = await listen(0, serve)
  const { port } = server.address() as AddressInfo
  const change = (changes: Partial<Conditions>): void => {
    Object.assign(conditions, changes)
    conditions.changed.dispatchEvent(new Event('change'))
  }
  const cut = (): void => {
    for (const end of pairs) end()
  }
  const deafen = (): void => {
    // Not awaited to its end: a server closes only when its connections have, and those may stay.
    server?.close()
    server = undefined
  }
  return {
    host: HOST,
    port,
    cut,
    blackHole: (held) => change({ held }),
    strand: () => {
      const { held, delayMs, bytesPerSecond } = conditions
      change({ held: true })
      // What changes from now on is for those who come from now on.
      conditions = fresh({ held, delayMs, bytesPerSecond })
    },
    delay: (delayMs) => change({ delayMs }),
    throttle: (bytesPerSecond) => change({ bytesPerSecond }),
    refuse: async (on) => {
      if (on) deafen()
      else server ??= await listen(port, serve)
    },
    leadTo: (other) => {
      goal = other
    },
    get connections() {
      return pairs.size
    },
    get accepted() {
      return accepted
    },
    close: async () => {
      deafen()
      cut()
    },
  }
}

function fresh(settings: Omit<Conditions, 'changed'>): Conditions {
  const changed = new EventTarget()
  setMaxListeners(0, changed)
  return { ...settings, changed }
}

async function listen(port: number, serve: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, serve)
  server.listen(port, HOST)
  await once(server, 'listening')
  return server
}

/** Joins two sockets under the conditions; the returned function ends both, as `ended` hears once. */
function join(from: Socket, to: Socket, conditions: Conditions, ended: () => void): () => void {
  to.setNoDelay(true)
  const gone = new AbortController()
  const leave = (how: (socket: Socket) => void): void => {
    if (gone.signal.aborted) return
    gone.abort()
    how(from)
    how(to)
    ended()
  }
  const end = (): void => leave(reset)
  // A side that breaks ends the pair, once that may be known on the other side.
  const broken = (): void => void free(conditions, gone.signal).then(end, end)
  for (const socket of [from, to]) socket.on('error', broken)
  const both = [pump(from, to, conditions, gone.signal), pump(to, from, conditions, gone.signal)]
  // After both ends have passed as bytes do, a reset could overtake the last of them: leave in peace.
  void Promise.all(both).then(() => leave((socket) => socket.destroy()), broken)
  return end
}
