/** What the launcher reads and writes as text: pure, so every odd case is cheap to try. */
import { expect, test } from 'vitest'
import { lastProgress, readLastWords, readObservations } from '../../src/launch/inspect.js'
import { parseFacts } from '../../src/launch/facts.js'
import { attemptName, markOf, parseAttemptName } from '../../src/launch/names.js'
import { SUPERVISOR } from '../../src/launch/supervisor/index.js'

const FACTS =
  'perl=/usr/bin/perl\nflock=\nsetsid=/usr/bin/setsid\nlimit=w\nchildren=1\narch=x86_64\nstateDir=/home/u/m\n'
const key = (attempt: number): { jobId: string; attempt: number; token: string } => ({
  jobId: 'j',
  attempt,
  token: 't',
})

test('a name leads nowhere but to its directory, and back', () => {
  expect(parseAttemptName(attemptName(key(12)))).toEqual({ jobId: 'j', attempt: 12 })
  for (const name of ['x', '.1', '../x.1', 'j.0', 'j.01', 'j.1 ', 'a b.1'])
    expect(parseAttemptName(name)).toBeUndefined()
  for (const jobId of ['', '.', '..', 'a/b', 'a b', '-x', "'"])
    expect(() => attemptName({ ...key(1), jobId })).toThrow('jobId')
})

test('P7 the marker says nothing of the token, and has always as many digits', () => {
  const marks = Array.from({ length: 200 }, (_, n) => markOf(`token-${n}`))
  expect(new Set(marks).size).toBe(200)
  for (const mark of marks) expect(mark).toMatch(/^[1-9]\d{14}$/)
})

test('observations are read in the order asked, raw bytes included', () => {
  const output = Buffer.concat([
    Buffer.from('absent 0 - -\nforeign 0 - -\nrunning 5 subreaper -\nexited 5 marker -\nexit 3 0 0 99 4 - 17\nwhy\n'),
    Buffer.from([1, 10, 0, 255]),
    Buffer.from('\nNONCE\ngone 5 marker supervisor-killed\n 7 8\nstopped 42 cancelled -\nNONCE\n'),
    Buffer.from('12 j.3/log\nNONCE\n==> j.3/progress <==\n0.1 a\n0.5 ==> j.4/progress <==\n'),
  ])
  const keys = [1, 2, 3, 4, 5, 6].map(key)
  const [absent, foreign, running, exited, gone, stopped] = readObservations(output, keys, 'NONCE', 1)
  expect(absent).toEqual({ key: key(1), status: 'absent' })
  expect(foreign?.status).toBe('foreign')
  expect(running).toMatchObject({ status: 'running', logBytes: 12, tree: 'subreaper', progress: { fraction: 0.5 } })
  expect(exited).toMatchObject({
    status: 'exited',
    logBytes: 17,
    exit: { outcome: 'exit', exitCode: 3, detail: 'why' },
  })
  expect(exited).toMatchObject({ exit: { result: { bytes: 4, inline: Buffer.from([1, 10, 0, 255]) } } })
  expect(gone).toMatchObject({ status: 'gone', reason: 'supervisor-killed', survivors: [7, 8] })
  expect(stopped).toMatchObject({ status: 'exited', exit: { outcome: 'never-started', endedAt: 42 } })
})

test('P2 an answer that was cut short is no evidence of anything', () => {
  const cut = readObservations(Buffer.from('running 5 subreaper -\n'), [key(1), key(2)], 'NONCE', 1)
  expect(cut[1]?.status).toBe('foreign')
})

test('progress is the last whole line that looks like it', () => {
  expect(lastProgress('0.1 a\n0.42 two words \nnoise\n')).toEqual({ fraction: 0.42, message: 'two words' })
  expect(lastProgress('1\n')).toEqual({ fraction: 1, message: '' })
  for (const text of ['', 'x\n', '7 too much\n', '-1 x\n']) expect(lastProgress(text)).toBeUndefined()
})

test('a state directory is refused with its reason; a machine without tools with what to install', () => {
  expect(() => parseFacts('unsafe=it is a link\n')).toThrow(
    expect.objectContaining({ code: 'STATE_DIR_UNSAFE' }) as Error,
  )
  for (const type of ['nfs4', 'cifs', 'lustre', 'fuse.sshfs', '9p'])
    expect(() => parseFacts(`${FACTS}fileSystem=${type}\n`)).toThrow(
      expect.objectContaining({ code: 'STATE_DIR_UNSAFE' }) as Error,
    )
  for (const type of ['ext4', 'xfs', 'overlay', 'fuseblk', 'fuse.fuse-overlayfs', 'tmpfs', ''])
    expect(() => parseFacts(`${FACTS}fileSystem=${type}\n`)).not.toThrow()
  expect(() => parseFacts('full=/home/u/m\n')).toThrow(
    expect.objectContaining({ code: 'MACHINE_UNUSABLE', hint: expect.stringContaining('df -h') as string }) as Error,
  )
  const places =
    'unsafe=you cannot write to /home/u\nelsewhere=nfs4 /home/u/muster-u\nelsewhere=xfs /scratch/muster-u\n'
  expect(() => parseFacts(places)).toThrow(
    expect.objectContaining({ hint: expect.stringMatching(/stateDir: \/scratch\/muster-u$/) as string }) as Error,
  )
  expect(() => parseFacts('arch=riscv64\nperl=/usr/bin/perl\n')).toThrow(/neither setsid nor perl/)
  expect(parseFacts(FACTS)).toMatchObject({ facts: { setsidCall: '112', prctlCall: '157' }, hasSupervisor: false })
})

test('the texts on the machine have no comments and read no substitution of ours', () => {
  for (const text of Object.values(SUPERVISOR)) {
    expect(text).not.toMatch(/^\s*#/m)
    expect(text).not.toContain('\\${')
  }
})

test('last words are believed whole and with the mark of the attempt, or not at all', () => {
  const mark = markOf('t')
  const words = `${mark} 5 subreaper exit 3 0 0 99 -1 - 0 -`
  expect(readLastWords(key(1), `${words} end`)).toEqual({
    key: key(1),
    status: 'exited',
    startedAt: 5,
    tree: 'subreaper',
    logBytes: 0,
    progress: null,
    exit: { outcome: 'exit', exitCode: 3, signal: null, endedAt: 99, stuck: [], leftNothing: true, result: null },
  })
  const printed = readLastWords(key(1), `${mark} 5 subreaper succeeded 0 0 0 99 -1 - 17 files end`)
  expect(printed).toMatchObject({ logBytes: 17, exit: { outcome: 'succeeded', result: null } })
  expect(printed).not.toHaveProperty('exit.leftNothing')
  for (const text of ['', mark, words, `${words} more end`, `${words.replace(mark, markOf('u'))} end`, ` ${words} end`])
    expect(readLastWords(key(1), text), text).toBeUndefined()
})
