/**
 * A warm git job on a machine over SSH, from submit to its first line in `job.logs()`, against what people type: a shallow clone
 * there from the host that has the repository, and a borrowing clone there of a mirror that somebody keeps. Both peers go through
 * an `ssh` that is connected already, as muster is.
 */
import { git, type Muster } from '@muster/sdk'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SshMachine } from '@muster/testing/servers'
import type { SshTransport } from '@muster/cluster'
import { execFileSync } from 'node:child_process'
import type { Context } from '../harness/load.js'
import { interleaved } from '../harness/measure.js'
import { comparedTo, type Measured } from '../harness/result.js'
import { makeRepository } from '../launch/hand-clone.js'
import { msToFirstLine, openMaster } from './processes.js'
import { openThere, opensshArguments, reach, there, withMachine } from './there.js'

const ROUNDS = 7
const FILES = 5_000
/** Says that it runs in a tree that is all there. */
const COMMAND = `[ -e part-${FILES / 100 - 1}/file-${FILES - 1}.txt ] && echo ready`
const HOME = '/home/ada'

/** The third row of the table. */
export function gitStart(context: Context): Promise<readonly Measured[]> {
  return withMachine((host) => withMachine((machine) => measure(context, machine, host)))
}

async function measure({ scratch }: Context, machine: SshMachine, host: SshMachine): Promise<readonly Measured[]> {
  const repository = join(scratch, 'repository')
  await makeRepository(repository, FILES)
  const commit = execFileSync('git', ['-C', repository, 'rev-parse', 'HEAD'], { encoding: 'utf8' }).trim()
  const [way, hostWay] = [reach(machine), reach(host)]
  const master = await openMaster(scratch, opensshArguments(scratch, machine))
  const muster = await openThere(join(scratch, 'git-start'), machine)
  try {
    await copyBare(repository, hostWay)
    await copyBare(repository, way)
    await lendKey(way, host)
    const peer =
      (script: string): (() => Promise<number>) =>
      async () => {
        await settle(way)
        const ms = await msToFirstLine(master.ssh, `${script} && cd clone && ${COMMAND}`, 'ready')
        await there(way, `rm -rf ${HOME}/clone`)
        return ms
      }
    const ours = (): Promise<number> => runJob(muster, way, repository)
    const shallow = await interleaved(
      ROUNDS,
      ours,
      peer(`git clone -q --depth 1 ssh://ada@${host.internalHost}${HOME}/repository.git clone`),
    )
    const borrowed = await interleaved(
      ROUNDS,
      ours,
      peer(`git clone -q --shared --no-checkout repository.git clone && git -C clone checkout -q ${commit}`),
    )
    const name = (peer: string): string =>
      `warm git job over SSH, submit to first line, ${FILES} files, against ${peer}`
    return [
      comparedTo('git clone --depth 1 over ssh', shallow, {
        name: name('a shallow clone'),
        unit: 'ms',
        sense: 'at most',
        bar: 0.5,
      }),
      comparedTo('ssh: clone --shared, checkout, run', borrowed, {
        name: name('the work by hand'),
        unit: 'ms',
        sense: 'at most',
        bar: 2,
      }),
    ]
  } finally {
    await muster.close()
    await master.close()
    await Promise.all([way.close(), hostWay.close()])
  }
}

async function runJob(muster: Muster, way: SshTransport, repository: string): Promise<number> {
  await settle(way)
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
  // Its directory goes a moment after its end: that belongs to this turn.
  await there(way, `until [ -z "$(ls ${HOME}/.local/state/muster/machine/attempts)" ]; do sleep 0.02; done`)
  return ms
}

/** Removing the tree before leaves its blocks to the next journal commit, and ext4 is slow to find others until then. */
async function settle(way: SshTransport): Promise<void> {
  await there(way, 'sync')
}

/** Puts a bare copy of the repository into the home of a machine. */
async function copyBare(repository: string, way: SshTransport): Promise<void> {
  const pack = execFileSync('git', ['-C', repository, 'bundle', 'create', '-q', '-', 'main'], { maxBuffer: 2 ** 30 })
  await way.put(`${HOME}/bundle`, pack)
  await there(
    way,
    `cd ${HOME} && git clone -q --bare --branch main bundle repository.git && rm bundle && git -C repository.git repack -adq`,
  )
}

/** Lets the machine log in to `host`, as its user would have arranged. */
async function lendKey(way: SshTransport, host: SshMachine): Promise<void> {
  await way.put(`${HOME}/.ssh/id_ed25519`, readFileSync(host.identityFile))
  await way.put(`${HOME}/.ssh/known_hosts`, readFileSync(host.knownHosts))
}
