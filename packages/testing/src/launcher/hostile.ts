/** 10, 12, 13: nothing that comes from a job or a request is executed, leads elsewhere, or stays behind. */
import { lstat, mkdtemp, readdir, readFile, rm, mkdir, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { bench, completed, home, logged, logText, look, newKey, RECORD, request, type LauncherFactory } from './kit.js'

const NASTY = [
  `'`,
  `"`,
  '$(touch /tmp/muster-pwned)',
  '`touch /tmp/muster-pwned`',
  ';',
  '\\',
  '\n',
  '--help',
  '*',
  '\u0001é✓',
  '',
]

/** Declares the tests. */
export function hostileSection(factory: LauncherFactory): void {
  test('10 arguments, values and secrets pass byte for byte and execute nothing', async () => {
    const at = await bench(factory)
    const what = request(
      { command: { argv: ['sh', '-c', 'printf "%s|" "$@" "$V" "$S"', 'sh', ...NASTY] }, env: { V: NASTY.join('') } },
      { secrets: { S: NASTY.join(' ') } },
    )
    await completed(at, what)
    expect(await logText(at, what.key)).toBe(
      [...NASTY, NASTY.join(''), NASTY.join(' ')].map((text) => `${text}|`).join(''),
    )
    expect((await at.transport.run('[ ! -e /tmp/muster-pwned ]')).code).toBe(0)
  })

  test('10 what no shell can carry is a typed error, and nothing starts', async () => {
    const at = await bench(factory)
    const bad = [
      request({ command: { argv: ['printf', 'a\0b'] } }),
      request({ command: { argv: ['--version'] } }),
      request({ command: { argv: [''] } }),
      request({ command: { argv: ['true'] }, env: { 'A;touch /tmp/muster-pwned': 'x' } }),
      request({ command: { argv: ['true'] }, env: { A: 'x\0' } }),
      request({ command: { argv: ['true'] }, cwd: '../..' }),
      request({ command: { argv: ['true'] }, cwd: '/etc' }),
      request('true', { key: { ...newKey(), jobId: '../../x' } }),
      request('true', { key: { ...newKey(), token: 'a b' } }),
      request('true', { gpus: ['0; touch /tmp/muster-pwned'] }),
      request('true', { recordId: '$(touch /tmp/muster-pwned)' }),
    ]
    for (const what of bad) await expect(at.launcher.start(what)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect((await at.transport.run('[ ! -e /tmp/muster-pwned ]')).code).toBe(0)
  })

  test('10 a working directory that a link leads out of is refused on the machine', async () => {
    const at = await bench(factory)
    const what = request({ workspace: 'ln -s /etc out; mkdir in', command: { argv: ['pwd'] }, cwd: 'out' })
    expect((await completed(at, what)).exit).toMatchObject({
      outcome: 'setup-failed',
      detail: expect.stringContaining('out of') as string,
    })
    const missing = request({ command: { argv: ['pwd'] }, cwd: 'none' })
    expect((await completed(at, missing)).exit.outcome).toBe('setup-failed')
  })

  test('10 artifacts: hostile names and links write nothing outside; caps hold; what is refused is said', async () => {
    const at = await bench(factory)
    const target = await mkdtemp(join(tmpdir(), 'muster-test-fetch-'))
    onTestFinished(() => rm(target, { recursive: true, force: true }))
    const what = request({
      command: {
        script: [
          'cd "$MUSTER_ARTIFACTS"; echo one >one; mkdir -p deep/er; echo two >deep/er/two; ln -s /etc/passwd link; ln -s /etc dirlink',
          `mkfifo fifo; printf x >"$(printf 'new\\nline')"; printf x >"$(printf 'bad\\377')"; printf x >'..\\up'; head -c 5000 /dev/zero >big`,
          'cd "$OLDPWD"; mkdir -p out/.git; echo three >out/three.svg; echo no >out/no.txt; ln -s ../../../key out/key.svg; echo "{}" >"$MUSTER_RESULT"',
        ].join('\n'),
      },
      artifacts: ['out/**/*.svg', 'out/*.svg', '../key', '/etc/passwd'],
    })
    await completed(at, what)
    const { files, refused } = await at.launcher.fetch(what.key, target, { maxBytes: 4_000, maxFiles: 100 })
    expect(files.map(({ path }) => path).sort()).toEqual([
      'artifacts/deep/er/two',
      'artifacts/one',
      'artifacts/out/three.svg',
      'log',
      'result',
    ])
    const reasons = refused.map(({ path }) => path)
    for (const path of ['artifacts/link', 'artifacts/dirlink', 'artifacts/fifo', 'artifacts/big'])
      expect(reasons).toContain(path)
    expect(await readFile(join(target, 'artifacts/out/three.svg'), 'utf8')).toBe('three\n')
    const here = await readdir(target, { recursive: true, withFileTypes: true })
    expect(here.every((entry) => entry.isFile() || entry.isDirectory())).toBe(true)
    expect((await lstat(join(target, 'artifacts/one'))).mode & 0o777).toBe(0o600)
    const few = await mkdtemp(join(target, 'few-'))
    const capped = await at.launcher.fetch(what.key, few, { maxBytes: 1e9, maxFiles: 1 })
    expect(capped.files.filter(({ path }) => path.startsWith('artifacts/'))).toHaveLength(1)
    const again = await at.launcher.fetch(what.key, target, { maxBytes: 4_000, maxFiles: 100 })
    expect(again.files).toEqual(files)
  })

  test('10 however little a job left, all of it is fetched and then removed', async () => {
    const at = await bench(factory)
    const link = `rm -f "$MUSTER_RESULT"; ln -s /etc/passwd`
    for (const [script, files, refused] of [
      ['true', { log: '' }, []],
      ['echo said; printf {} >"$MUSTER_RESULT"', { log: 'said\n', result: '{}' }, []],
      [': >"$MUSTER_RESULT"', { log: '', result: '' }, []],
      ['echo x >"$MUSTER_ARTIFACTS/.x"', { log: '', 'artifacts/.x': 'x\n' }, []],
      [`${link} "$MUSTER_RESULT"`, { log: '' }, ['result']],
      [`echo said; ${link} ../passwd; mv ../passwd ../log`, {}, ['log']],
    ] as const) {
      const what = request(script)
      const target = await mkdtemp(join(tmpdir(), 'muster-test-fetch-'))
      onTestFinished(() => rm(target, { recursive: true, force: true }))
      await completed(at, what)
      const report = await at.launcher.fetch(what.key, target, { maxBytes: 1e6, maxFiles: 10 })
      expect(report.refused.map(({ path }) => path)).toEqual(refused)
      const brought = report.files.map(async ({ path }) => [path, await readFile(join(target, path), 'utf8')] as const)
      expect(Object.fromEntries(await Promise.all(brought)), script).toEqual(files)
      await at.launcher.remove([what.key])
      expect(await look(at, what.key)).toMatchObject({ status: 'absent' })
    }
    const { stdout } = await at.transport.run(`find ${at.stateDir}/attempts ${at.stateDir}/keep -mindepth 1`)
    expect(stdout.toString()).toBe('')
  })

  test('10 a link in the way of a fetch is not followed', async () => {
    const at = await bench(factory)
    const target = await mkdtemp(join(tmpdir(), 'muster-test-fetch-'))
    onTestFinished(() => rm(target, { recursive: true, force: true }))
    for (const name of ['outside', 'in']) await mkdir(join(target, name))
    await symlink(join(target, 'outside'), join(target, 'in', 'artifacts'))
    const what = request('echo x >"$MUSTER_ARTIFACTS/x"')
    await completed(at, what)
    const { refused } = await at.launcher.fetch(what.key, join(target, 'in'), { maxBytes: 1e6, maxFiles: 10 })
    expect(refused).toEqual([{ path: 'artifacts/x', reason: expect.any(String) as string }])
    expect(await readdir(join(target, 'outside'))).toEqual([])
  })

  test('10 a state directory that others could change is refused', async () => {
    const at = await bench(factory)
    await at.launcher.list(RECORD)
    await at.transport.run(
      `mkdir -m 777 ${at.stateDir}/open; ln -s ${at.stateDir} ${at.stateDir}/link; mkdir ${at.stateDir}/other; chown 12345 ${at.stateDir}/other`,
    )
    for (const name of ['open', 'link', '../x/../y']) {
      const opened = await factory.open({ stateDir: `${at.stateDir}/${name}` })
      await expect(opened.launcher.probe(), name).rejects.toMatchObject({ code: 'STATE_DIR_UNSAFE' })
      await opened.close()
    }
  })

  test('13 remove takes all of an attempt, many at once; what runs is left alone and said', async () => {
    const at = await bench(factory)
    const over = Array.from({ length: 5 }, () =>
      request('mkdir -p a/b; echo x >a/b/c; chmod -R a-w a; ln -s /etc/hostname keepme'),
    )
    await Promise.all(over.map((what) => completed(at, what)))
    const live = request('echo up; sleep 600')
    await at.launcher.start(live)
    await logged(at, live.key, 'up')
    const keeper = request('echo x >"$MUSTER_KEEP/checkpoint"')
    await completed(at, keeper)
    const keys = [...over, live, keeper].map(({ key }) => key)
    await expect(at.launcher.remove([...keys, newKey()])).rejects.toMatchObject({ code: 'ATTEMPT_RUNNING' })
    expect((await look(at, live.key)).status).toBe('running')
    await at.launcher.stop(live.key, { graceMs: 100, reason: 'cancelled' })
    await at.launcher.remove(keys)
    await at.launcher.remove(keys)
    const { stdout } = await at.transport.run(
      `cd ${at.stateDir}; find attempts keep gpus records -mindepth 1; [ -e /etc/hostname ] && echo safe`,
    )
    expect(stdout.toString()).toBe(`keep/${keeper.key.jobId}\nkeep/${keeper.key.jobId}/checkpoint\nsafe\n`)
    const left = await at.transport.run(
      `grep -lsa -- '${at.stateDir}/[a]ttempts' /proc/[0-9]*/cmdline | wc -l; ls -l /proc/[0-9]*/cwd 2>/dev/null | grep -c '${home(at, live.key)}'`,
    )
    expect(left.stdout.toString()).toBe('0\n0\n')
  })
}
