/** A warm git job, from submit to its first line in `job.logs()`, against a borrowing clone by hand. */
import { git } from '@muster/sdk'
import { join } from 'node:path'
import type { Context } from '../harness/load.js'
import { interleaved, timed } from '../harness/measure.js'
import { comparedTo, type Measured } from '../harness/result.js'
import { cloneAndRun, makeRepository, removeClone } from './hand-clone.js'
import { ends } from './hand-supervisor.js'
import { openHere } from './here.js'

const ROUNDS = 7
const FILES = 5_000
const COMMAND = ['echo', 'ready']

/** The second row of the table. */
export async function gitStart({ scratch }: Context): Promise<readonly Measured[]> {
  const repository = join(scratch, 'repository')
  await makeRepository(repository, FILES)
  const muster = await openHere(join(scratch, 'git-start'))
  const ours = async (): Promise<number> => {
    await settleDisk()
    let first: string | undefined
    const start = performance.now()
    const job = await muster.submit(git({ repo: repository, ref: 'main', run: COMMAND }))
    for await (const { text } of job.logs()) {
      first = text
      break
    }
    const ms = performance.now() - start
    await job.wait()
    if (first !== 'ready') throw new Error(`the first line was ${JSON.stringify(first)}`)
    return ms
  }
  const theirs = async (): Promise<number> => {
    const target = join(scratch, 'clone')
    await settleDisk()
    const ms = await timed(() => cloneAndRun(repository, target, COMMAND))
    removeClone(target)
    return ms
  }
  try {
    const rounds = await interleaved(ROUNDS, ours, theirs)
    const name = `warm git job, submit to first line, ${FILES} files`
    return [comparedTo('clone --shared + spawn by hand', rounds, { name, unit: 'ms', sense: 'at most', bar: 1.5 })]
  } finally {
    await muster.close()
  }
}

/** Removing the tree before leaves its blocks to the next journal commit, and ext4 is slow to find others until then. */
function settleDisk(): Promise<void> {
  return ends('sync', [])
}
