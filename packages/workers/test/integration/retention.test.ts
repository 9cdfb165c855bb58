/** How long mirrors live, here and on a machine. Time passes by the injected clock, or by making files older. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { silentLogger, systemClock, type Clock, type JsonValue, type MachineAccess } from '@muster/core'
import { gitWorker } from '@muster/workers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { gitBench, type Bench } from '../support/git-bench.js'
import { runPlan } from '../support/machine.js'

const DAY_MS = 86_400_000
const run = ['cat', 'hello.txt']
const context = { signal: new AbortController().signal, logger: silentLogger, progress: () => undefined }

const mirrorOf = (bench: Bench, payload: JsonValue): string =>
  join(bench.mirrors, `${(payload as { mirror: string }).mirror}.git`)
const pinsOf = (mirror: string): Promise<string[]> => readdir(join(mirror, 'refs/muster/keep'))
const commitOf = (payload: JsonValue): string => (payload as { commit: string }).commit
const inDays = (days: number): Clock => ({ ...systemClock, now: () => systemClock.now() + days * DAY_MS })

async function* these(...payloads: JsonValue[]): AsyncGenerator<JsonValue> {
  yield* payloads
}

/** Tidies as a controller would so many days from now. */
async function tidyIn(
  days: number,
  bench: Bench,
  machine: MachineAccess | null,
  ...needed: JsonValue[]
): Promise<void> {
  const worker = gitWorker({ mirrorsDirectory: bench.mirrors, clock: inDays(days) })
  await worker.tidy?.(machine, these(...needed), context)
}

/** Makes everything below a directory as old as so many days. */
async function age(bench: Bench, directory: string, days: number): Promise<void> {
  const aged = await bench.local.run(`find '${directory}' -exec touch -h -d '${days} days ago' {} +`)
  expect(aged.code).toBe(0)
}

describe('mirrors beside the record', () => {
  test('go 30 days after the last use, and come again from their source', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', { 'hello.txt': 'hello\n' })
    const payload = await bench.resolve({ repo, run })
    const mirror = mirrorOf(bench, payload)
    await tidyIn(29, bench, null)
    expect(await pinsOf(mirror)).toEqual([commitOf(payload)])
    await tidyIn(31, bench, null)
    expect(existsSync(mirror)).toBe(false)
    expect((await readdir(bench.mirrors)).sort()).toEqual([`${basename(mirror)}.lock`, 'tidied'])
    expect((await bench.launch(payload)).command?.stdout.toString()).toBe('hello\n')
  })

  test('stay as long as a job needs them; pins that nobody needs are dropped one by one', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', { 'hello.txt': '1\n' })
    const old = await bench.resolve({ repo, run })
    await bench.commit(repo, { 'hello.txt': '2\n' })
    const waits = await bench.resolve({ repo, run })
    const mirror = mirrorOf(bench, old)
    await tidyIn(20, bench, null, waits)
    await tidyIn(40, bench, null, { worker: 'another', commit: 'x' })
    expect(await pinsOf(mirror)).toEqual([commitOf(waits)])
    // Dropped is the name, never the object: whoever borrowed it goes on.
    expect(await bench.git(mirror, 'cat-file', '-t', commitOf(old))).toBe('commit')
    await tidyIn(400, bench, null, waits)
    expect(await pinsOf(mirror)).toEqual([commitOf(waits)])
    for (const payload of [old, waits])
      expect((await bench.launch(payload, bench.other)).workspace).toMatchObject({ code: 0 })
    expect((await pinsOf(mirror)).sort()).toEqual([commitOf(old), commitOf(waits)].sort())
  })

  test('stay while an attempt on this host borrows, whoever started it', async () => {
    const bench = await gitBench()
    const payload = await bench.resolve({ repo: await bench.repository('repo', { 'hello.txt': 'x\n' }), run })
    const attempt = bench.path('state/attempts/job.1')
    const ran = await runPlan(await bench.prepare(payload), attempt, bench.home)
    const mirror = mirrorOf(bench, payload)
    await tidyIn(40, bench, bench.local)
    await tidyIn(40, bench, null)
    expect(existsSync(mirror)).toBe(true)
    await bench.git(ran.workDir, 'fsck', '--full')
    await rm(attempt, { recursive: true })
    await tidyIn(60, bench, bench.local)
    await tidyIn(80, bench, bench.local)
    await tidyIn(80, bench, null)
    expect(existsSync(mirror)).toBe(false)
  })

  test('what is not ours is left alone; an interrupted removal is decided again; once a day is enough', async () => {
    const bench = await gitBench()
    const payload = await bench.resolve({ repo: await bench.repository('repo', { 'hello.txt': 'x\n' }), run })
    const mirror = mirrorOf(bench, payload)
    const strange = ['notes.git', `${'a'.repeat(32)}.git`, `${'b'.repeat(31)}.git`, `${'c'.repeat(32)}.git.gone.keep`]
    for (const name of strange) await mkdir(join(bench.mirrors, name))
    await symlink(bench.root, join(bench.mirrors, `${'d'.repeat(32)}.git`))
    await bench.local.run(`mv '${mirror}' '${mirror}.gone'`)
    await tidyIn(0, bench, null)
    expect(await pinsOf(mirror)).toEqual([commitOf(payload)])
    await age(bench, mirror, 40)
    await tidyIn(0.9, bench, null)
    expect(existsSync(mirror)).toBe(true)
    await tidyIn(1.1, bench, null)
    expect(existsSync(mirror)).toBe(false)
    expect(await readdir(bench.mirrors)).toEqual(expect.arrayContaining([...strange, `${'d'.repeat(32)}.git`]))
    expect(existsSync(bench.root)).toBe(true)
  })

  test('a submit or launch at the same moment has its commit all the same', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', { 'hello.txt': 'hello\n' })
    const payload = await bench.resolve({ repo, run })
    const mirror = mirrorOf(bench, payload)
    for (let round = 0; round < 20; round++) {
      await age(bench, mirror, 40)
      await rm(join(bench.mirrors, 'tidied'), { force: true })
      const [, plan] = await Promise.all([
        tidyIn(0, bench, null),
        round % 2 === 0 ? bench.prepare(payload) : bench.resolve({ repo, run }).then((again) => bench.prepare(again)),
      ])
      const ran = await runPlan(plan, bench.path(`attempt-${round}`), bench.home)
      expect(ran.command?.stdout.toString()).toBe('hello\n')
    }
  })
})

describe('mirrors on a machine', () => {
  async function there(): Promise<{ bench: Bench; payload: JsonValue; mirror: string; again: () => Promise<void> }> {
    const bench = await gitBench()
    const payload = await bench.resolve({ repo: await bench.repository('repo', { 'hello.txt': 'hello\n' }), run })
    await bench.prepare(payload, bench.other)
    const mirror = bench.path(`other-state/cache/git/${basename(mirrorOf(bench, payload))}`)
    const again = async (): Promise<void> => {
      await age(bench, bench.path('other-state/cache/git'), 31)
      await tidyIn(0, bench, bench.other)
    }
    return { bench, payload, mirror, again }
  }

  test('go 30 days after the last use, and are sent again', async () => {
    const { bench, payload, mirror, again } = await there()
    await tidyIn(0, bench, bench.other)
    expect(existsSync(mirror)).toBe(true)
    await again()
    expect(existsSync(mirror)).toBe(false)
    expect((await bench.launch(payload, bench.other)).command?.stdout.toString()).toBe('hello\n')
    await age(bench, bench.path('other-state/cache/git'), 31)
    await bench.prepare(payload, bench.other)
    await tidyIn(0, bench, bench.other)
    expect(existsSync(mirror)).toBe(true)
  })

  test('stay while an attempt borrows, a live job is pinned there, or somebody holds the lock', async () => {
    const { bench, payload, mirror, again } = await there()
    const attempt = bench.path('other-state/attempts/job.1')
    await runPlan(await bench.prepare(payload, bench.other), attempt, bench.home)
    await again()
    expect(existsSync(mirror)).toBe(true)
    await rm(attempt, { recursive: true })

    await age(bench, bench.path('other-state/cache/git'), 31)
    await tidyIn(0, bench, bench.other, payload)
    expect(existsSync(mirror)).toBe(true)

    const holder = spawn('flock', [`${mirror}.lock`, 'sh', '-c', 'echo held; cat'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    onTestFinished(() => void holder.kill('SIGKILL'))
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    await again()
    expect(existsSync(mirror)).toBe(true)
    const ended = new Promise((resolve) => holder.once('close', resolve))
    holder.stdin.end()
    await ended
    await again()
    expect(existsSync(mirror)).toBe(false)
  })

  test('lose their litter and most of their packs, but no object; what is not ours is left alone', async () => {
    const { bench, payload, mirror } = await there()
    const ran = await bench.launch(payload, bench.other)
    const plant = `cd '${mirror}' && i=100 && while [ $i -lt 151 ]; do
      echo $i | git hash-object -w --stdin | git pack-objects -q objects/pack/pack >/dev/null; i=$((i+1)); done; git prune-packed
      : >objects/pack/tmp_pack_old; touch -d '2 hours ago' objects/pack/tmp_pack_old; : >objects/pack/tmp_pack_young`
    expect(await bench.other.run(plant)).toMatchObject({ code: 0 })
    const cache = bench.path('other-state/cache/git')
    await mkdir(join(cache, `${'a'.repeat(32)}.git`))
    await writeFile(join(cache, 'notes.git'), '')
    await symlink(bench.mirrors, join(cache, `${'b'.repeat(32)}.git`))
    await tidyIn(0, bench, bench.other)
    const packs = await readdir(join(mirror, 'objects/pack'))
    expect(packs.filter((name) => name.endsWith('.pack')).length).toBeLessThan(10)
    expect(packs.filter((name) => name.startsWith('tmp_'))).toEqual(['tmp_pack_young'])
    expect(await bench.git(mirror, 'cat-file', '--batch-all-objects', '--batch-check')).toContain('blob 4')
    await bench.git(ran.workDir, 'fsck', '--full')
    await age(bench, cache, 40)
    await tidyIn(0, bench, bench.other)
    const left = (await readdir(cache)).filter((name) => !name.endsWith('.lock'))
    expect(left.sort()).toEqual([`${'a'.repeat(32)}.git`, `${'b'.repeat(32)}.git`, 'notes.git', 'tidied'].sort())
    expect(await readdir(bench.mirrors)).not.toEqual([])
  })
})
