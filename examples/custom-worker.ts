// A worker of one's own: it evaluates a JavaScript expression on the machine. Everything else (durable record, placement,
// supervision, logs, retries, cancel) is the same as for git(): npx tsx examples/custom-worker.ts
import { MusterError, open, type JsonValue, type Worker } from '@muster/sdk'

const PROGRAM = `
const value = await eval(process.env.EXPRESSION)
console.log('evaluated on', (await import('node:os')).hostname())
;(await import('node:fs')).writeFileSync(process.env.MUSTER_RESULT, JSON.stringify(value))`

const evaluate: Worker = {
  kind: 'evaluate',
  // At submit, where the user is: validate, and pin what may change. What this returns is recorded.
  async resolve(input) {
    if (typeof input !== 'string') throw new MusterError('INVALID_ARGUMENT', 'evaluate takes an expression, as text')
    return { expression: input }
  },
  // Before the start, where the leader is: what is to run, as plain data.
  async prepare({ payload }) {
    const { expression } = payload as { expression: string }
    const argv = ['node', '--input-type=module', '--eval', PROGRAM]
    return { command: { argv }, env: { EXPRESSION: expression }, artifacts: [] }
  },
  // After the end: what the job left becomes its result.
  async collect({ result }) {
    return result && (JSON.parse(result.toString()) as JsonValue)
  },
}

const muster = await open()
muster.cluster.registerWorker('evaluate', evaluate)
const job = await muster.submit({ worker: 'evaluate', input: '[...Array(10).keys()].map((n) => 2 ** n)' })
for await (const line of job.logs()) console.log(line.text)
console.log((await job.result()).output)
await muster.close()
