/**
 * The process that leads until it is killed: opens muster in a directory (first argument) with the machine over SSH (second, as
 * JSON), runs a job that lasts until a file (third) exists there, and prints the job's id once it runs. It ends by itself when its
 * standard input does.
 */
import { command } from '@muster/sdk'
import { openThere, type Way } from './there.js'

const [directory = '', way = '', endOfJob = ''] = process.argv.slice(2)
const muster = await openThere(directory, JSON.parse(way) as Way)
const wait = 'while [ ! -e "$END" ]; do sleep 0.02; done'
const job = await muster.submit(command({ run: wait, env: { END: endOfJob } }), { timeout: '2m' })
for await (const { action } of job.events()) if (action === 'start') break
console.log(job.id)
process.stdin.on('end', () => process.exit()).resume()
