/**
 * The process that leads until it is killed: opens muster in a directory (first argument), runs a job that lasts until a file
 * (second argument) exists, and prints the job's id once it runs. It ends by itself when its standard input does.
 */
import { command } from '@muster/sdk'
import { openHere } from './here.js'

const [directory = '', endOfJob = ''] = process.argv.slice(2)
const muster = await openHere(directory)
const wait = 'while [ ! -e "$END" ]; do sleep 0.02; done'
const job = await muster.submit(command({ run: wait, env: { END: endOfJob } }), { timeout: '2m' })
for await (const { action } of job.events()) if (action === 'start') break
console.log(job.id)
process.stdin.on('end', () => process.exit()).resume()
