/**
 * The engine of a test run, in namespaces of its own: a real dockerd that neither finds nor disturbs the one of this host.
 * Needs root, as starting an engine does.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

/** Its own mounts (empty /run and image store), network and processes, all of which end with it. */
const APART = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc']
const PRIVATE = 'mount -t tmpfs run /run && mount -t tmpfs store /var/lib/docker && exec "$@"'
const NODE = [process.execPath, '--import', 'tsx', '--input-type=module', '--eval']
const ENGINE = JSON.stringify(`${process.cwd()}/scripts/lib/engine.ts`)

const HOLDER = `
  import { holdEngine } from ${ENGINE}
  await holdEngine(console.log)
  console.log('held')
  setInterval(() => {}, 1000)`

const STORY = `
  import { spawn } from 'node:child_process'
  import { once } from 'node:events'
  import { engineAnswers, holdEngine } from ${ENGINE}
  const said = []
  const answers = []
  const release = await holdEngine((line) => said.push(line))
  answers.push(await engineAnswers())
  const other = spawn(process.execPath, ${JSON.stringify([...NODE.slice(1), HOLDER])}, { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(other.stdout, 'data')
  await release()
  answers.push(await engineAnswers())
  other.kill('SIGKILL')
  await once(other, 'close')
  const last = await holdEngine((line) => said.push(line))
  await last()
  answers.push(await engineAnswers())
  console.log(JSON.stringify({ said, answers }))`

it.runIf(process.getuid?.() === 0)(
  'an engine that a run started outlives that run while another holds it, and ends with the last; the killed do not count',
  async () => {
    const { stdout } = await promisify(execFile)('unshare', [...APART, 'sh', '-c', PRIVATE, 'sh', ...NODE, STORY])
    expect(JSON.parse(stdout)).toEqual({
      said: ['no container engine answers; running: dockerd'],
      answers: [true, true, false],
    })
  },
)
