/**
 * A RabbitMQ server of its own, for a test or for all tests of a file, each in a vhost of its own. Invariant: the user of the
 * URLs may do everything, and no plugin runs beside the broker.
 */
import { MusterError } from '@muster/core'
import { exec, type Executed } from './exec.js'
import { startQueueServer, type QueueServer } from './queue-server.js'
import { quote } from './scripts.js'

/** What a RabbitMQ is to be like. */
export interface RabbitOptions {
  /** Another image with its own entry point; `MUSTER_RABBIT_IMAGE` unless given, else Debian's RabbitMQ. */
  readonly image?: string | undefined
  /** Terms of the broker's own configuration, in Erlang: `{consumer_timeout, 60000}`. They win over ours. */
  readonly config?: readonly string[]
}

/** A running RabbitMQ. */
export interface RabbitServer extends QueueServer {
  /** rabbitmqctl with these arguments. */
  ctl(...args: string[]): Promise<Executed>
  /** Makes a vhost that nobody has used, and gives the URL of it. It goes with the server. */
  vhost(): Promise<string>
}

const PORT = 5672
const USER = 'muster'
/** In Erlang: rabbitmq.conf would be translated first, by half a second of work at each start. */
const CONFIG = '/etc/rabbitmq/advanced.config'
const START = '/machine/start'
const PLUGINS = '/run/plugins'
/**
 * Not by Debian's own wrapper, which does not pass on a request to end; and only what the broker itself is made of lies in the directory of
 * its plugins: at each start it loads all that lie there, enabled or not, which is a sixth of its work.
 */
const SERVER = `
mkdir ${PLUGINS}
for part in /usr/lib/rabbitmq/lib/*/plugins/*; do
  case \${part##*/} in
    rabbitmq_prelaunch-*) ;;
    rabbitmq_*) continue ;;
  esac
  ln -s "$part" ${PLUGINS}/
done
export RABBITMQ_PLUGINS_DIR=${PLUGINS}
exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups /usr/lib/rabbitmq/bin/rabbitmq-server
`

let vhosts = 0

/**
 * Starts a RabbitMQ and comes back when it answers.
 * @throws MusterError `MACHINE_UNUSABLE` when there is no engine, no image, or it does not come up
 */
export async function startRabbit(options: RabbitOptions = {}): Promise<RabbitServer> {
  const image = options.image ?? process.env['MUSTER_RABBIT_IMAGE']
  const { server, container } = await startQueueServer({
    name: 'RabbitMQ',
    order: {
      image,
      command: image === undefined ? ['/bin/sh', START] : [],
      contents: { [CONFIG]: configuration(options.config ?? []), [START]: SERVER },
      environment: {
        HOME: '/var/lib/rabbitmq',
        RABBITMQ_LOGS: '-',
        // Two schedulers that do not spin: several servers may share a small machine.
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none',
      },
      port: PORT,
      ready: /started TCP listener/,
    },
    url: (host, port) => `amqp://${USER}:${USER}@${host}:${port}`,
    hello: 'AMQP\x00\x00\x09\x01',
    // The first frame of its greeting: a method on channel 0. The listener is the last thing that the broker starts.
    ready: (answer) => answer.startsWith('\x01\x00\x00'),
  })
  const ctl = (...args: string[]): Promise<Executed> =>
    exec(container, ['rabbitmqctl', '--quiet', ...args.map(quote)].join(' '))
  return { ...server, ctl, vhost: async () => `${server.url}/${await makeVhost(server, ctl)}` }
}

/** Erlang's own small client: rabbitmqctl starts a virtual machine for each call, a second of work. */
const CLIENT = '/usr/lib/erlang/erts-*/bin/erl_call'

/** By one call instead of two, and by Erlang's client where the image has it. */
async function makeVhost(server: QueueServer, ctl: RabbitServer['ctl']): Promise<string> {
  const name = `test-${process.pid}-${++vhosts}`
  const [vhost, user, all] = [name, USER, '.*'].map((text) => `<<"${text}">>`)
  const rights = `rabbit_auth_backend_internal:set_permissions(${user}, ${vhost}, ${all}, ${all}, ${all}, ${user})`
  const making = `ok = rabbit_vhost:add(${vhost}, ${user}), ok = ${rights}.`
  const small = `[ -x ${CLIENT} ] && echo ${quote(making)} | ${CLIENT} -sname rabbit -c "$(cat ~rabbitmq/.erlang.cookie)" -e`
  if ((await server.exec(small)).stdout === '{ok, ok}') return name
  const { code, stdout, stderr } = await ctl('eval', making)
  if (code === 0 && stdout.trim() === 'ok') return name
  throw new MusterError('MACHINE_UNUSABLE', `RabbitMQ makes no vhost: ${stdout}${stderr}`)
}

/**
 * The small limit on memory is far above what tests need, and keeps a runaway from the machine. What a quorum queue could not hand over
 * while the server started it tries again soon, where three minutes are usual.
 */
function configuration(config: readonly string[]): string {
  const ours = [
    `{default_user, <<"${USER}">>}`,
    `{default_pass, <<"${USER}">>}`,
    '{vm_memory_high_watermark, {absolute, 536870912}}',
    '{disk_free_limit, 10000000}',
    '{dead_letter_worker_publisher_confirm_timeout, 2000}',
  ].filter((term) => !config.some((other) => nameOf(other) === nameOf(term)))
  return `[{rabbit, [${[...ours, ...config].join(', ')}]}].\n`
}

function nameOf(term: string): string {
  return /^\{\s*(\w+)/.exec(term)?.[1] ?? term
}
