/** 2, 7: how an attempt ended, told apart and kept; and what is never taken for an end. */
import { systemIds } from '@muster/core'
import { expect, test } from 'vitest'
import {
  bench,
  completed,
  ended,
  home,
  logged,
  logText,
  look,
  newKey,
  processes,
  RECORD,
  request,
  uniqueSleep,
  type LauncherFactory,
} from './kit.js'

/** Declares the tests. */
export function endSection(factory: LauncherFactory): void {
  test('2 exit code, signal, timeout, cancel and setup are told apart and kept', async () => {
    const at = await bench(factory)
    const cases = [
      [request('exit 0'), { outcome: 'succeeded', exitCode: 0, signal: null }],
      [request('exit 3'), { outcome: 'exit', exitCode: 3, signal: null }],
      [request('exit 137'), { outcome: 'exit', exitCode: 137, signal: null }],
      [request('kill -TERM $$'), { outcome: 'signal', exitCode: null, signal: 'SIGTERM' }],
      [request('kill -SEGV $$'), { outcome: 'signal', exitCode: null, signal: 'SIGSEGV' }],
      [request('sleep 600', { timeoutMs: 200 }), { outcome: 'timeout' }],
      [request({ setup: { script: 'exit 4' }, command: { argv: ['true'] } }), { outcome: 'setup-failed', exitCode: 4 }],
      [request({ workspace: 'exit 5', command: { argv: ['true'] } }), { outcome: 'setup-failed', exitCode: 5 }],
    ] as const
    await Promise.all(cases.map(([what]) => at.launcher.start(what)))
    for (const [what, end] of cases) expect((await ended(at, what.key)).exit).toMatchObject({ ...end, stuck: [] })
    expect((await ended(at, cases[0][0].key)).exit).not.toHaveProperty('possiblySignal')
  })

  test('2 a command that does not exist, or cannot be executed, says so by name', async () => {
    const at = await bench(factory)
    const missing = await completed(at, request({ command: { argv: ['no-such-command', '--x'] } }))
    expect(missing.exit).toMatchObject({ outcome: 'exit', exitCode: 127, detail: 'command not found: no-such-command' })
    const plain = await completed(at, request({ workspace: 'echo hi >data', command: { argv: ['./data'] } }))
    expect(plain.exit).toMatchObject({ outcome: 'exit', exitCode: 126, detail: 'command cannot be executed: ./data' })
  })

  test('2 out of memory needs evidence; without it a KILL is a KILL', async () => {
    const events = `/tmp/muster-test-${systemIds.token().slice(0, 12)}.events`
    const at = await bench(factory, { oomEventsPath: events })
    await at.transport.put(events, 'oom 1\noom_kill 1\noom_group_kill 0\n')
    try {
      const plain = await completed(at, request('kill -KILL $$'))
      expect(plain.exit).toMatchObject({ outcome: 'signal', signal: 'SIGKILL', detail: 'possibly out of memory' })
      const planted = request(`printf 'oom 1\\noom_kill 2\\n' >${events}; kill -KILL $$`)
      expect((await completed(at, planted)).exit).toMatchObject({ outcome: 'oom', signal: 'SIGKILL' })
    } finally {
      await at.transport.run(`rm -f ${events}`)
    }
  })

  test('2 setup runs before the command, in the work directory, with the environment of the job', async () => {
    const at = await bench(factory)
    const what = request({
      workspace: 'mkdir sub; [ -z "${A-}" ] && echo "clean $MUSTER_ATTEMPT_DIR"',
      setup: { script: 'echo "setup $A" >made' },
      command: { argv: ['sh', '-c', 'cat made; echo "$A $TOKEN ${PWD##*/}"'] },
      cwd: 'sub',
      env: { A: `it's "quoted" $HOME\nand two lines` },
    })
    const { exit } = await completed(at, { ...what, secrets: { TOKEN: `s3cr'et` } })
    expect(exit.outcome).toBe('succeeded')
    const text = `it's "quoted" $HOME\nand two lines`
    expect(await logText(at, what.key)).toBe(`clean ${home(at, what.key)}\nsetup ${text}\n${text} s3cr'et sub\n`)
    const { stdout } = await at.transport.run(`grep -rl "s3cr'et" ${at.stateDir} | sort`)
    expect(stdout.toString()).toBe(`${home(at, what.key)}/log\n`)
  })

  test('2 the result comes with the end up to 64 KiB, progress and times while it runs', async () => {
    const at = await bench(factory)
    const before = Date.now()
    const what = request(
      `printf '{"a":"\\\\0b"}\\0' >"$MUSTER_RESULT"; printf '0.25 one\\n0.5 two words\\n0.9' >>"$MUSTER_PROGRESS"; read x <"$MUSTER_KEEP/go"`,
    )
    await at.launcher.list(RECORD)
    await at.transport.run(
      `mkdir -p ${at.stateDir}/keep/${what.key.jobId}; mkfifo ${at.stateDir}/keep/${what.key.jobId}/go`,
    )
    await at.launcher.start(what)
    await expect
      .poll(async () => (await look(at, what.key)) as object, { timeout: 15_000 })
      .toMatchObject({ progress: { fraction: 0.9 } })
    const seen = await look(at, what.key)
    expect(seen).toMatchObject({
      status: 'running',
      tree: expect.stringMatching(/subreaper|marker|best-effort/) as string,
    })
    await at.transport.run(`echo go >${at.stateDir}/keep/${what.key.jobId}/go`)
    const end = await ended(at, what.key)
    expect(end.exit.result?.inline?.toString('latin1')).toBe('{"a":"\\0b"}\0')
    expect(end.startedAt).toBeGreaterThanOrEqual(before - 1)
    expect(end.exit.endedAt).toBeGreaterThanOrEqual(end.startedAt ?? Infinity)
    expect(end.exit.endedAt).toBeLessThanOrEqual(Date.now() + 20)
    const large = await completed(at, request('head -c 70000 /dev/zero >"$MUSTER_RESULT"'))
    expect(large.exit.result).toEqual({ bytes: 70_000 })
    const link = await completed(at, request('ln -s /etc/passwd "$MUSTER_RESULT"'))
    expect(link.exit.result).toBeNull()
  })

  test('7 a killed supervisor is gone, never failed; its survivors are named, and stop ends them', async () => {
    const at = await bench(factory)
    const sleep = uniqueSleep()
    const what = request(`setsid sleep ${sleep} & echo up; sleep ${sleep}`)
    await at.launcher.start(what)
    await logged(at, what.key, 'up')
    await at.transport.run(`read -r pid x <${home(at, what.key)}/claim; kill -KILL $pid`)
    await expect
      .poll(() => look(at, what.key), { timeout: 15_000 })
      .toMatchObject({ status: 'gone', reason: 'supervisor-killed' })
    const seen = await look(at, what.key)
    expect(seen.status === 'gone' && seen.survivors.length).toBeGreaterThanOrEqual(2)
    const kept = [`${what.key.jobId}.${what.key.attempt}`]
    await expect(at.launcher.remove([what.key, newKey()])).rejects.toMatchObject({
      code: 'ATTEMPT_RUNNING',
      details: { kept },
    })
    expect(await at.launcher.stop(what.key, { graceMs: 200, reason: 'cancelled' })).toEqual({ left: 'nothing' })
    expect(await processes(at, sleep)).toBe(0)
    expect(await look(at, what.key)).toMatchObject({ status: 'gone', survivors: [] })
  })

  test('7 a reboot, and a pid that is used again, are gone with their reason', async () => {
    const boot = `/tmp/muster-test-${systemIds.token().slice(0, 12)}.boot`
    const at = await bench(factory, { bootIdPath: boot })
    await at.transport.put(boot, 'boot-one\n')
    try {
      const what = request('sleep 600')
      await at.launcher.start(what)
      const { stdout } = await at.transport.run(`cat ${home(at, what.key)}/claim`)
      await at.launcher.stop(what.key, { graceMs: 100, reason: 'cancelled' })
      // What a crash leaves: a claim, no exit record; the pid belongs to somebody else now, or the boot id has changed.
      const [pid = '', , ...rest] = stdout.toString().split(' ')
      const reused = `$$ 12345 ${rest.join(' ')}`
      await at.transport.run(`cd ${home(at, what.key)}; rm exit; echo "${reused.trim()}" >claim`)
      // Its supervisor is on its way out, and says so by its lock until then.
      const gone = { status: 'gone', reason: 'supervisor-killed', survivors: [] }
      await expect.poll(() => look(at, what.key), { timeout: 15_000 }).toMatchObject(gone)
      expect(Number(pid)).toBeGreaterThan(1)
      await at.transport.put(boot, 'boot-two\n')
      expect(await look(at, what.key)).toMatchObject({ status: 'gone', reason: 'reboot', survivors: [] })
      expect(await at.launcher.start(what)).toMatchObject({ started: true })
      expect(await look(at, what.key)).toMatchObject({ status: 'gone' })
    } finally {
      await at.transport.run(`rm -f ${boot}`)
    }
  })
}
