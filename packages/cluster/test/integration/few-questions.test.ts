/** How little a machine is asked: what a hint said needs no question, small files come in one answer; and what is not believed. */
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { localEnvironment, localTransport, shellLauncher, type AttemptKey, type Launcher } from '@muster/cluster'
import { quote, systemIds } from '@muster/core'
import { expect, onTestFinished, test } from 'vitest'

test('the end that a hint told is known without a question; the machine says the same', async () => {
  const at = await machine()
  const key = await at.start('exit 3')
  await at.heard(key)
  at.forget()
  const [told] = await at.launcher.inspect([key])
  expect(told).toMatchObject({ status: 'exited', exit: { outcome: 'exit', exitCode: 3, leftNothing: true } })
  expect(at.asked).toEqual({ runs: 0, gets: 0 })
  expect((await at.launcher.inspect([key]))[0]).toEqual(told)
  expect(at.asked.runs).toBe(1)
})

test('an end that a line cannot tell whole is looked up: what was printed last, a result, a reason', async () => {
  const at = await machine()
  const keys = await Promise.all(
    ['echo "0.5 half" >"$MUSTER_PROGRESS"', 'printf 7 >"$MUSTER_RESULT"', 'exec /no/such'].map(at.start),
  )
  for (const key of keys) await at.heard(key)
  const [progress, result, reason] = await at.launcher.inspect(keys)
  expect(progress).toMatchObject({ status: 'exited', progress: { fraction: 0.5, message: 'half' } })
  expect(result).toMatchObject({ status: 'exited', exit: { result: { bytes: 1, inline: Buffer.from('7') } } })
  expect(reason).toMatchObject({ status: 'exited', exit: { outcome: 'exit', exitCode: 127 } })
})

test('a hint without the mark of the attempt is only a hint: the machine is asked, and knows better', async () => {
  const at = await machine()
  const key = await at.start('sleep 600')
  const forged = `${key.jobId}.1 123456789012345 5 subreaper succeeded 0 0 0 99 -1 - 0 - end\n`
  await appendFile(join(at.directory, 'm', 'events'), forged)
  await at.heard(key)
  expect((await at.launcher.inspect([key]))[0]).toMatchObject({ status: 'running' })
  await at.launcher.stop(key, { graceMs: 50, reason: 'cancelled' })
})

test('small files come with one question, larger ones one by one; no name is more than a name', async () => {
  const at = await machine()
  const pwned = join(at.directory, 'pwned')
  const names = Array.from({ length: 20 }, (_, n) => `a ${n}$x;*'"é`)
  const refused = 'back\\slash'
  const put = [...names, refused].map((name) => `printf 'x\\0\\n' >${quote(name)}`).join(';')
  const small = await at.start(`echo said; printf '{}' >"$MUSTER_RESULT"; cd "$MUSTER_ARTIFACTS"; : >empty; ${put}`)
  await at.heard(small)
  at.forget()
  const first = await at.fetch(small)
  expect(at.asked).toEqual({ runs: 1, gets: 0 })
  expect(first.refused).toEqual([{ path: `artifacts/${refused}`, reason: expect.any(String) as string }])
  const artifacts = names.map((name) => [`artifacts/${name}`, 'x\0\n'] as const)
  expect(first.texts).toEqual({ log: 'said\n', result: '{}', 'artifacts/empty': '', ...Object.fromEntries(artifacts) })

  const large = await at.start('cd "$MUSTER_ARTIFACTS"; head -c 1048577 /dev/zero >big; echo x >"end "; echo one >one')
  await at.heard(large)
  at.forget()
  const second = await at.fetch(large)
  expect(at.asked).toEqual({ runs: 1, gets: 3 })
  expect(second.texts).toEqual({
    log: '',
    'artifacts/big': '\0'.repeat(1_048_577),
    'artifacts/one': 'one\n',
    'artifacts/end ': 'x\n',
  })

  const lines = [
    `8000 a[$(touch ${pwned})] log`,
    '8000 4 artifacts/one',
    '8000 08 log',
    '8000 99 ../../key',
    '8xyz 1 log',
  ]
  for (const line of lines) {
    const name = quote(`x\n${line}`)
    const script = `cd "$MUSTER_ARTIFACTS"; echo one >one; f=${name}; mkdir -p "$(dirname "$f")"; echo y >"$f"`
    const hostile = await at.start(script)
    await at.heard(hostile)
    const third = await at.fetch(hostile)
    expect(third.texts, line).toMatchObject({ log: '', 'artifacts/one': 'one\n' })
    expect(Object.keys(third.texts).length + third.refused.length, line).toBeGreaterThan(2)
    await expect(readFile(pwned)).rejects.toMatchObject({ code: 'ENOENT' })
  }
})

async function machine(): Promise<{
  directory: string
  launcher: Launcher
  asked: { runs: number; gets: number }
  forget(): void
  start(script: string): Promise<AttemptKey>
  heard(key: AttemptKey): Promise<void>
  fetch(key: AttemptKey): Promise<{ refused: readonly { path: string }[]; texts: Record<string, string> }>
}> {
  const directory = await mkdtemp(join(tmpdir(), 'muster-test-questions-'))
  const transport = localTransport()
  const asked = { runs: 0, gets: 0 }
  const counting: typeof transport = {
    ...transport,
    run: (...args) => ((asked.runs += 1), transport.run(...args)),
    get: (...args) => ((asked.gets += 1), transport.get(...args)),
  }
  const launcher = shellLauncher(counting, { stateDir: join(directory, 'm'), environment: localEnvironment() })
  const hinted = new Set<string>()
  const following = new Promise<void>((resolve) => {
    onTestFinished(
      launcher.onHint((attempt) => {
        if (attempt) hinted.add(attempt.jobId)
        else resolve()
      }),
    )
  })
  onTestFinished(async () => {
    await launcher.close()
    await transport.close()
    await rm(directory, { recursive: true, force: true })
  })
  await following
  return {
    directory,
    launcher,
    asked,
    forget: () => Object.assign(asked, { runs: 0, gets: 0 }),
    start: async (script) => {
      const key = { jobId: systemIds.next(), attempt: 1, token: systemIds.token() }
      const plan = { command: { script }, env: {}, artifacts: [] }
      await launcher.start({ key, recordId: 'record-1', epoch: 1, plan, secrets: {}, gpus: [], graceMs: 100 })
      return key
    },
    heard: ({ jobId }) => expect.poll(() => hinted.has(jobId), { timeout: 10_000, interval: 10 }).toBe(true),
    fetch: async (key) => {
      const target = await mkdtemp(join(directory, 'files-'))
      const { files, refused } = await launcher.fetch(key, target, { maxBytes: 1e9, maxFiles: 100 })
      const texts = files.map(async ({ path }) => [path, await readFile(join(target, path), 'utf8')] as const)
      return { refused, texts: Object.fromEntries(await Promise.all(texts)) }
    },
  }
}
