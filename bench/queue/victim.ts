/**
 * The consumer that is killed: takes a message of a queue (second argument) of a backend (first) and never ends with it. Prints a
 * line once it has it, and ends by itself when its standard input does.
 */
import { LEASE_MS } from './kill.js'
import { openOurs } from './ours.js'

const [url = '', queue = ''] = process.argv.slice(2)
const { queues } = await openOurs(url)
queues.consume(
  queue,
  ({ id }) => {
    console.log(id)
    return new Promise<never>(() => undefined)
  },
  { leaseMs: LEASE_MS },
)
process.stdin.on('end', () => process.exit()).resume()
