/** 3, 6: a log is a file that is read by offset; no reader, and no loss of one, has any influence on it. */
import { createHash } from 'node:crypto'
import { systemIds } from '@muster/core'
import { expect, onTestFinished, test } from 'vitest'
import { bench, completed, ended, logged, logText, look, request, type LauncherFactory } from './kit.js'

/** A connection, a follower and an attempt take a second each where the machine is busy; nothing but a hint ends the wait. */
const PATIENT = { timeout: 20_000, interval: 20 }

/** Declares the tests. */
export function logSection(factory: LauncherFactory): void {
  test('3 every byte once and in order, also of binary data and very long lines', async () => {
    const at = await bench(factory)
    const what = request(
      'i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i+1)); done; head -c 1048576 /dev/zero | tr "\\0" x; printf "\\0\\377\\n"; echo err >&2',
    )
    const { logBytes } = await completed(at, what)
    const lines = Array.from({ length: 2000 }, (_, n) => `line ${n}\n`).join('')
    const expected = Buffer.concat([
      Buffer.from(lines + 'x'.repeat(1_048_576)),
      Buffer.from([0, 255, 10]),
      Buffer.from('err\n'),
    ])
    expect(logBytes).toBe(expected.length)
    const read: Buffer[] = []
    for (let offset = 0; offset < logBytes;) {
      const { bytes, size } = await at.launcher.logs(what.key, { offset, maxBytes: 99_991 })
      expect(size).toBe(logBytes)
      read.push(bytes)
      offset += bytes.length
    }
    expect(sha(Buffer.concat(read))).toBe(sha(expected))
    expect((await at.launcher.logs(what.key, { offset: logBytes, maxBytes: 10 })).bytes).toHaveLength(0)
  })

  test('3 a line is there as soon as it is written', async () => {
    const at = await bench(factory)
    const what = request('echo first; sleep 600')
    await at.launcher.start(what)
    await logged(at, what.key, 'first\n')
    expect(await look(at, what.key)).toMatchObject({ status: 'running', logBytes: 6 })
  })

  test('3 a log ends at its cap with a marker; the job writes on and ends by itself', async () => {
    const at = await bench(factory)
    const what = request(
      'i=0; while [ $i -lt 900 ]; do echo "line $i"; i=$((i+1)); done; head -c 400000 /dev/zero | tr "\\0" y; exit 6',
      { logBytes: 100_000 },
    )
    const { exit, logBytes } = await completed(at, what)
    expect(exit).toMatchObject({ outcome: 'exit', exitCode: 6 })
    expect(logBytes).toBeLessThanOrEqual(100_000)
    expect(logBytes).toBeGreaterThan(98_000)
    const text = await logText(at, what.key)
    expect(text.startsWith('line 0\nline 1\n')).toBe(true)
    expect(text).toMatch(/y\n\[muster: the log reached its limit of 100000 bytes; what follows was dropped\]\n$/)
    const within = await completed(at, request('head -c 99000 /dev/zero', { logBytes: 100_000 }))
    expect(within.logBytes).toBe(99_000)
  })

  test('3 a leftover child that holds the log does not hold the attempt open', async () => {
    const at = await bench(factory)
    const what = request('( setsid sh -c "trap : TERM; while :; do sleep 600; done" & ); echo done', { graceMs: 100 })
    expect((await completed(at, what)).exit.outcome).toBe('succeeded')
    expect(await logText(at, what.key)).toMatch(/^done\n/)
  })

  test('6 the connection is cut while a job runs: same attempt, one run, no hole in the log', async () => {
    const at = await bench(factory)
    const what = request('echo run; i=0; while [ ! -e stop ]; do echo "$i"; i=$((i+1)); sleep 0.01; done; echo end')
    await at.launcher.start(what)
    await logged(at, what.key, '\n3\n')
    for (let n = 0; n < 8; n += 1) {
      await expect(at.transport.run('kill -9 $$')).rejects.toMatchObject({ code: 'TRANSPORT_LOST' })
      expect(await at.launcher.start(what)).toMatchObject({ started: true })
      expect((await look(at, what.key)).status).toBe('running')
    }
    await at.transport.run(`: >${at.stateDir}/attempts/${what.key.jobId}.1/work/stop`)
    await ended(at, what.key)
    const lines = (await logText(at, what.key)).trimEnd().split('\n')
    expect(lines[0]).toBe('run')
    expect(lines.at(-1)).toBe('end')
    expect(lines.slice(1, -1)).toEqual(lines.slice(1, -1).map((_, n) => String(n)))
  })

  test('6 a hint tells of an end at once, and names it, also where the follower is slow to begin', async () => {
    const tools = `/tmp/muster-test-${systemIds.token().slice(0, 12)}`
    const at = await bench(factory, { pathFirst: tools })
    await at.transport.put(`${tools}/tail`, '#!/bin/sh\nsleep 0.5\nPATH=${PATH#*:} exec tail "$@"\n', { mode: 0o700 })
    onTestFinished(() => at.transport.run(`rm -rf ${tools}`).then(() => undefined))
    const heard: (string | undefined)[] = []
    const off = at.launcher.onHint((attempt) => heard.push(attempt?.jobId))
    // Once it has said that it follows, it misses none.
    await expect.poll(() => heard.length, PATIENT).toBeGreaterThan(0)
    const all = Array.from({ length: 5 }, () => request('true'))
    for (const what of all) await completed(at, what)
    await expect.poll(() => heard, PATIENT).toEqual(expect.arrayContaining(all.map(({ key }) => key.jobId)))
    off()
  })
}

function sha(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
