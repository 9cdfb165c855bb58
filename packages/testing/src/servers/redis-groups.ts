/**
 * Several Redis servers that know of each other, in one container: a cluster of three, and a primary with its replica. Invariant: a
 * server has the same address inside and outside, so what the servers tell their clients about each other is true there.
 */
import type { Executed } from './exec.js'
import { startQueueServer, type QueueServer } from './queue-server.js'

/** One server of a group. */
export interface RedisNode {
  readonly url: string
  readonly host: string
  readonly port: number
  /** redis-cli on this server. */
  cli(command: string): Promise<Executed>
}

/** A Redis Cluster: three primaries that share the slots. `url` names all of them; killing and starting is for all at once. */
export interface RedisCluster extends QueueServer {
  readonly nodes: readonly RedisNode[]
}

/** A primary and its replica. `url` is the primary's; killing and starting is for both, each as what it was at first. */
export interface RedisPair extends QueueServer {
  readonly primary: RedisNode
  readonly replica: RedisNode
  /** SIGKILL of the primary; the replica takes its place, without what had not reached it. Connections to the primary's port end at once. */
  promote(): Promise<void>
  /** The two change places and both go on: who stays connected to the old primary meets READONLY. */
  swap(): Promise<void>
}

const FILE = '/machine/servers'
const NODES = 3

/** Starts the servers at $PORT and the next ones, each with `more` options; SIGTERM ends them all, and in peace. */
const servers = (count: number, more: string): string => `
PATH=/usr/local/bin:/usr/bin:/bin
trap 'kill $pids; wait $pids; exit 0' TERM
pids=
for n in $(seq 0 ${count - 1}); do
  port=$((PORT + n))
  mkdir -p /data/$port
  redis-server --port $port --bind 0.0.0.0 --protected-mode no --dir /data/$port --appendonly yes ${more} &
  pids="$pids $!"
  echo $! >/data/$port/pid
done
for n in $(seq 0 ${count - 1}); do
  until redis-cli -p $((PORT + n)) PING 2>/dev/null | grep -q PONG; do sleep 0.05; done
done
`

const CLUSTER = `${servers(NODES, '--cluster-enabled yes --cluster-node-timeout 2000 --cluster-announce-ip 127.0.0.1')}
if [ ! -e /data/joined ]; then
  redis-cli --cluster create ${['', ' + 1', ' + 2'].map((n) => `127.0.0.1:$((PORT${n}))`).join(' ')} --cluster-yes
  : >/data/joined
fi
for n in $(seq 0 ${NODES - 1}); do
  until redis-cli -p $((PORT + n)) CLUSTER INFO | grep -q cluster_state:ok; do sleep 0.05; done
done
echo 'the servers are up'
: >/run/up
wait $pids
`

const PAIR = `${servers(2, '--repl-diskless-sync-delay 0')}
redis-cli -p $((PORT + 1)) REPLICAOF 127.0.0.1 $PORT
until redis-cli -p $((PORT + 1)) INFO replication | grep -q master_link_status:up; do sleep 0.05; done
echo 'the servers are up'
: >/run/up
# A server that was killed leaves the other in peace.
for pid in $pids; do wait $pid; done
`

/**
 * Starts a cluster and comes back when all its slots are served.
 * @throws MusterError `MACHINE_UNUSABLE` when it does not come up
 */
export async function startRedisCluster(): Promise<RedisCluster> {
  const server = await start('Redis Cluster', NODES, CLUSTER)
  const nodes = Array.from({ length: NODES }, (_, n) => node(server, server.port + n))
  const url = `redis://${nodes.map(({ host, port }) => `${host}:${port}`).join(',')}`
  return { ...server, url, nodes }
}

/**
 * Starts a primary and its replica and comes back when the replica follows.
 * @throws MusterError `MACHINE_UNUSABLE` when they do not come up
 */
export async function startRedisPair(): Promise<RedisPair> {
  const server = await start('Redis with a replica', 2, PAIR)
  const [primary, replica] = [node(server, server.port), node(server, server.port + 1)]
  return {
    ...server,
    ...{ primary, replica },
    async promote() {
      await server.exec(`kill -KILL $(cat /data/${primary.port}/pid)`)
      await replica.cli('REPLICAOF NO ONE')
    },
    async swap() {
      await replica.cli('REPLICAOF NO ONE')
      await primary.cli(`REPLICAOF 127.0.0.1 ${replica.port}`)
    },
  }
}

async function start(name: string, same: number, script: string): Promise<QueueServer> {
  const { server } = await startQueueServer({
    name,
    order: {
      image: process.env['MUSTER_REDIS_IMAGE'],
      command: ['/bin/sh', FILE],
      contents: { [FILE]: script },
      port: { same },
      ready: /the servers are up/,
    },
    url: (host, port) => `redis://${host}:${port}`,
    hello: 'PING\r\n',
    ready: (answer) => answer.startsWith('+PONG'),
  })
  // What the group as a whole waits for only its own script knows; /run is empty at each start.
  const up = async (): Promise<void> => {
    await server.exec('until [ -e /run/up ]; do sleep 0.02; done')
  }
  await up()
  const again = async (): Promise<void> => {
    await server.start()
    await up()
  }
  return { ...server, start: again }
}

function node(server: QueueServer, port: number): RedisNode {
  const { host } = server
  return {
    host,
    port,
    url: `redis://${host}:${port}`,
    cli: (command) => server.exec(`redis-cli -p ${port} ${command}`),
  }
}
