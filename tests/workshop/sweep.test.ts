/** The sweep after a test run must find what is left: one leak of each kind, planted below a root of its own. */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sweep } from '../../scripts/lib/sweep.js'
import { testEnvironment } from '../../scripts/lib/test-home.js'

const MARKER = 'marker-of-the-sweep-test'
let root: string
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'muster-test-sweep-')))
  testEnvironment(root)
})
afterEach(() => {
  rmSync(root, { recursive: true, force: true })
})

/** A process group of its own, so that one signal ends it with its children. */
const group = { detached: true }

const found = (): Promise<readonly string[]> => sweep(root, MARKER, 200)

function plant(path: string, text = ''): void {
  mkdirSync(join(root, path, '..'), { recursive: true })
  writeFileSync(join(root, path), text)
}

describe('the sweep', () => {
  it('finds nothing where only what a rule keeps is left', async () => {
    plant('home/.local/state/muster/jobs.db')
    plant('home/.local/state/muster/jobs.db-wal')
    plant('home/.local/state/muster/files/1/log')
    plant('home/.local/state/muster/machine/events')
    plant('home/.local/state/muster/machine/cache/git/1.git/HEAD')
    mkdirSync(join(root, 'home/.local/state/muster/machine/attempts'))
    expect(await found()).toEqual([])
  })

  it.each([
    ['that works below the root', () => spawn('sleep', ['60'], { ...group, cwd: join(root, 'tmp'), env: {} })],
    [
      'that carries the root in its environment',
      () => spawn('sleep', ['60'], { ...group, cwd: '/', env: { TMPDIR: root } }),
    ],
    ['that was called with the root', () => spawn('sh', ['-c', 'sleep 60; :', root], { ...group, cwd: '/', env: {} })],
    [
      'that holds a lock',
      () => spawn('flock', [join(root, 'lock'), 'sleep', '60'], { ...group, cwd: '/', env: { PATH: '/usr/bin:/bin' } }),
    ],
  ])('finds a process %s', async (_, start) => {
    const child = start()
    const ended = new Promise((resolve) => child.once('exit', resolve))
    await new Promise((resolve) => child.once('spawn', resolve))
    try {
      expect(await found()).toContainEqual(expect.stringMatching(`^process ${child.pid ?? 0}: `))
    } finally {
      process.kill(-(child.pid ?? 0))
      await ended
    }
  })

  it('waits for a process that is just ending', async () => {
    const child = spawn('sleep', ['0.2'], { cwd: join(root, 'tmp') })
    await new Promise((resolve) => child.once('spawn', resolve))
    expect(await sweep(root, MARKER, 10_000)).toEqual([])
  })

  it('finds a directory, a file of an attempt, and the planted variable', async () => {
    mkdirSync(join(root, 'tmp/muster-test-forgotten'))
    mkdirSync(join(root, 'home/.local/state/muster/machine/attempts/1'), { recursive: true })
    plant('home/.local/state/muster/machine/events', `said ${MARKER}`)
    expect(await found()).toEqual([
      'left in the temporary directory: muster-test-forgotten',
      'left in the state directory: muster/machine/attempts/1',
      'the planted variable was written to home/.local/state/muster/machine/events',
    ])
  })
})
