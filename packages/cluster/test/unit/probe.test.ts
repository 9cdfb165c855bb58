/** What is read out of a machine's answers: pure, so machines that nobody here has are cheap to try. */
import { describe, expect, test } from 'vitest'
import { parseFacts } from '../../src/launch/facts.js'
import { endsAtLogout, type LogindAnswers } from '../../src/launch/logind.js'
import { readProbe } from '../../src/launch/probe.js'
import { skewOf } from '../../src/launch/skew.js'

const FACTS =
  'perl=/usr/bin/perl\nflock=/usr/bin/flock\nsetsid=/usr/bin/setsid\nlimit=w\nchildren=1\narch=x86_64\n' +
  'fileSystem=ext4\nstateDir=/home/u/m\n'
const HEALTHY = 'os=Linux 6\ncpus=4\nmemory=1048576\ngit=git version 2.39.5\nuser=u\n'
const DF = 'disk=/dev/sda1 100 50 2000000 50% /\n'
const none = { skewMs: 0, maxSessions: null }
const read = (text: string, facts = FACTS, seen: Parameters<typeof readProbe>[2] = none) =>
  readProbe(HEALTHY + text, parseFacts(facts).facts, seen)
const problems = (...given: Parameters<typeof read>): readonly [string, boolean][] =>
  read(...given).problems.map(({ text, fatal }) => [text, fatal])

describe('what a machine has', () => {
  test('sizes, and the smaller ones that its cgroups allow', () => {
    expect(read(`${DF}inodes=/dev/sda1 9 1 8 12% /\n`)).toMatchObject({
      cpus: 4,
      memoryBytes: 2 ** 30,
      gitVersion: '2.39.5',
      tree: 'subreaper',
      disk: { path: '/home/u/m', freeBytes: 2_048_000_000, fileSystem: 'ext4' },
      problems: [],
    })
    expect(read('quota=max 100000\nlimit=max \n')).toMatchObject({ cpus: 4, memoryBytes: 2 ** 30 })
    expect(read('quota=250000 100000\nquota=300000 100000\nlimit=4096 \n')).toMatchObject({
      cpus: 2,
      memoryBytes: 4096,
    })
    expect(read('quota=50000 100000\n').cpus).toBe(1)
    expect(read('quota=-1 100000\nlimit=9223372036854771712 \n')).toMatchObject({ cpus: 4, memoryBytes: 2 ** 30 })
  })

  test('P8 what nobody told is null, never a guess', () => {
    const { disk } = read('disk=\ninodes=- - - - - /\n')
    expect(disk.freeBytes).toBeNull()
    expect(readProbe('', parseFacts(FACTS).facts, { ...none, maxSessions: 10 })).toMatchObject({
      gitVersion: null,
      maxSessions: 10,
    })
  })
})

describe('what a machine lacks', () => {
  test.each([
    ['git=\n', '', false, 'git'],
    ['disk=/dev/sda1 100 100 0 100% /a b\n', '', true, 'full'],
    ['disk=/dev/sda1 100 90 1000 90% /\n', '', true, 'full'],
    ['disk=/dev/my disk 100 50 90000 50% /\n', '', false, '87 MiB'],
    ['inodes=/dev/sda1 9 9 0 100% /\n', '', true, 'inodes'],
    ['', 'fileSystem=tmpfs\n', false, 'memory'],
    ['cleaner=10d /tmp systemd-tmpfiles\n', '', false, '10d'],
    ['cleaner=- /tmp tmpreaper\n', '', false, 'tmpreaper'],
    ['', 'stateDir=/var/tmp/x\n', false, 'cleaner'],
    ['', 'perl=\nlimit=\n', false, 'environment'],
    ['', 'perl=\nflock=\n', false, 'flock'],
  ])('%j %j', (answers, facts, fatal, word) => {
    const { problems: found } = readProbe(
      (answers.startsWith('git=') ? HEALTHY.replace(/git=.*\n/, '') : HEALTHY) + answers,
      parseFacts(FACTS + facts).facts,
      none,
    )
    expect(found).toHaveLength(1)
    expect(found[0]).toMatchObject({ fatal, text: expect.stringContaining(word) as string })
    expect(found[0]?.mend).toMatch(/^(sudo|df|stateDir:|echo) /)
  })

  test('a clock that is off by more than five seconds', () => {
    expect(problems('', FACTS, { ...none, skewMs: 5_000 })).toEqual([])
    expect(problems('', FACTS, { ...none, skewMs: -7_400 })).toEqual([['its clock is 7 s behind ours', false]])
  })

  test('git that is too old; the fatal problem comes first', () => {
    const old = readProbe(
      `${HEALTHY.replace('2.39.5', '2.30.9')}disk=/dev/a 1 1 0 100% /\n`,
      parseFacts(FACTS).facts,
      none,
    )
    expect(old.problems.map(({ fatal }) => fatal)).toEqual([true, false])
    expect(old.problems[1]?.text).toContain('too old')
  })
})

describe('the skew of a clock', () => {
  test('lies between asking and answer, and in every such interval', () => {
    expect(skewOf([{ before: 1_000, after: 1_100, said: '11.500000000' }])).toEqual({ skewMs: 10_450, withinMs: 50 })
    const many = [
      { before: 1_000, after: 9_000, said: '10.000000000' },
      { before: 9_000, after: 9_010, said: '14.005000000' },
    ]
    expect(skewOf(many)).toEqual({ skewMs: 5_000, withinMs: 5 })
  })

  test('a clock of whole seconds says less, and several looks at it more', () => {
    const coarse = [
      { before: 10_900, after: 10_900, said: '10.%N' },
      { before: 11_100, after: 11_100, said: '11' },
    ]
    expect(skewOf(coarse.slice(0, 1))?.withinMs).toBeGreaterThan(400)
    expect(skewOf(coarse)?.withinMs).toBeLessThanOrEqual(100)
  })

  test('a clock that was set between two looks', () => {
    const set = [
      { before: 0, after: 10, said: '100.000' },
      { before: 20, after: 22, said: '500.000' },
    ]
    expect(skewOf(set)).toEqual({ skewMs: 499_979, withinMs: 1 })
    expect(skewOf([{ before: 0, after: 1, said: '' }])).toBeNull()
  })
})

describe('what ends at logout', () => {
  const session = ['/user.slice/user-1000.slice/session-3.scope']
  const manager = ['/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope']
  const ends = (given: Partial<LogindAnswers>) =>
    endsAtLogout({ cgroups: session, bus: [], files: [], settings: [], lingers: false, user: 'u', ...given })
  const file = (path: string, ...settings: string[]) => ({
    files: [path],
    settings: settings.map((setting) => `${path}:${setting}`),
  })

  test('nothing by default, nor outside of a session', () => {
    expect(ends({})).toBeNull()
    const kills = file('/etc/systemd/logind.conf', 'KillUserProcesses=yes')
    expect(ends({ ...kills, cgroups: ['/', '/system.slice/ssh.service'] })).toBeNull()
  })

  test('what logind itself says counts more than its files', () => {
    expect(ends({ bus: ['b true', 'as 0', 'as 1 "root"'] })?.mend).toContain('KillExcludeUsers=root u')
    expect(ends({ bus: ['b true', 'as 0', 'as 2 "root" "u"'] })).toBeNull()
    expect(ends({ bus: ['b true', 'as 1 "x"', 'as 0'] })).toBeNull()
    const kills = file('/etc/systemd/logind.conf', 'KillUserProcesses=yes')
    expect(ends({ bus: ['b false', 'as 0', 'as 0'], ...kills })).toBeNull()
  })

  test('files in the order of systemd: a drop-in after the main file, of one name that of /etc', () => {
    expect(ends(file('/etc/systemd/logind.conf', 'KillUserProcesses = yes '))).not.toBeNull()
    expect(ends({ ...file('/etc/systemd/logind.conf', 'KillUserProcesses=yes'), user: 'root' })).toBeNull()
    const files = [
      '/etc/systemd/logind.conf',
      '/usr/lib/systemd/logind.conf.d/a.conf',
      '/etc/systemd/logind.conf.d/b.conf',
    ]
    const settings = [
      '/etc/systemd/logind.conf:KillUserProcesses=no',
      '/usr/lib/systemd/logind.conf.d/a.conf:KillUserProcesses=1',
    ]
    expect(ends({ files, settings })).not.toBeNull()
    expect(
      ends({ files, settings: [...settings, '/etc/systemd/logind.conf.d/b.conf:KillUserProcesses=off'] }),
    ).toBeNull()
    // A link to /dev/null of the same name hides the file of the distribution.
    expect(ends({ files: [...files, '/etc/systemd/logind.conf.d/a.conf'], settings })).toBeNull()
    expect(ends({ files, settings: [...settings, '/etc/systemd/logind.conf:KillExcludeUsers=u'] })).toBeNull()
  })

  test('lingering saves what the user manager runs, and nothing else', () => {
    const kills = file('/etc/systemd/logind.conf', 'KillUserProcesses=yes')
    expect(ends({ ...kills, lingers: true })).not.toBeNull()
    expect(ends({ cgroups: manager })?.mend).toBe('loginctl enable-linger u')
    expect(ends({ cgroups: manager, lingers: true })).toBeNull()
  })
})
