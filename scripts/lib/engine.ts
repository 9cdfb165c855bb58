/**
 * The container engine for a run of tests: whichever answers here, else one that we start. Invariant: an engine that we
 * started ends with the last living process that holds it, so no run leaves one behind, and none ends it under another; one
 * that was killed before it could is dead as a holder, and its engine ends with the next run. An engine that was there before
 * is left alone.
 */
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const STATE = '/run/muster-test-engine'
const HOLDERS = join(STATE, 'holders')
const OURS = join(STATE, 'dockerd')
const SOCKET = '/var/run/docker.sock'
/**
 * No rule of this host's firewall is touched: ports are published on loopback by the engine's own proxy, and test machines
 * need each other, which share a bridge, but nothing outside.
 */
const QUIET = ['--iptables=false', '--ip6tables=false', '--ip-masq=false', '--ip-forward=false', '--log-level=warn']

/** Lets go of the engine; the last who does ends it if it is ours. */
export type Release = () => Promise<void>

/** Whether an engine answers here without our doing. One that the environment names is taken at its word. */
export async function engineAnswers(): Promise<boolean> {
  if (process.env['DOCKER_HOST'] !== undefined) return true
  return new Promise((resolve) => {
    const asked = request({ socketPath: SOCKET, path: '/_ping', timeout: 5_000 }, (answer) => {
      answer.resume()
      resolve(answer.statusCode === 200)
    })
    asked.on('timeout', () => asked.destroy())
    asked.on('error', () => resolve(false))
    asked.end()
  })
}

/** Makes sure that an engine runs until the release is called. Throws when none answers and none can be started. */
export async function holdEngine(say: (line: string) => void): Promise<Release> {
  if (process.getuid?.() !== 0) {
    if (await engineAnswers()) return async () => undefined
    throw new Error('no container engine answers here. Start one, as root: dockerd')
  }
  const me = identity(process.pid) ?? String(process.pid)
  await alone(async () => {
    mkdirSync(HOLDERS, { recursive: true, mode: 0o700 })
    writeFileSync(join(HOLDERS, me), '')
    if (!(await engineAnswers())) await start(say)
  })
  return () =>
    alone(async () => {
      rmSync(join(HOLDERS, me), { force: true })
      if (readdirSync(HOLDERS).filter(lives).length === 0) await endOurs()
    })
}

async function start(say: (line: string) => void): Promise<void> {
  say('no container engine answers; running: dockerd')
  const log = openSync(join(STATE, 'log'), 'w', 0o600)
  // Its environment is empty: it belongs to no run of tests, and the sweep after one does not find it.
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' }
  const child = spawn('dockerd', QUIET, { detached: true, stdio: ['ignore', log, log], env, cwd: '/' })
  closeSync(log)
  let ended = ''
  child.once('error', (error) => (ended = error.message))
  child.once('exit', (code) => (ended = `it ended with ${String(code)}`))
  child.unref()
  writeFileSync(OURS, identity(child.pid ?? -1) ?? '')
  const deadline = performance.now() + 60_000
  while (!(await engineAnswers())) {
    if (ended === '' && performance.now() < deadline) await delay(50)
    else
      throw new Error(`dockerd does not come up: ${ended}\n${readFileSync(join(STATE, 'log'), 'utf8').slice(-2_000)}`)
  }
}

/** Asks our engine to end and waits for it; its containers go with it. */
async function endOurs(): Promise<void> {
  const ours = read(OURS)
  const deadline = performance.now() + 30_000
  for (let signal: NodeJS.Signals | 0 = 'SIGTERM'; lives(ours); signal = performance.now() < deadline ? 0 : 'SIGKILL') {
    process.kill(pidOf(ours), signal)
    await delay(50)
  }
  rmSync(STATE, { recursive: true, force: true })
}

/** One process at a time. The kernel drops the lock, a socket without a file, with whoever held it. */
async function alone<T>(body: () => Promise<T>): Promise<T> {
  let lock = await tryLock()
  for (; lock === undefined; lock = await tryLock()) await delay(50)
  try {
    return await body()
  } finally {
    lock.close()
  }
}

function tryLock(): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen('\0muster-test-engine', () => resolve(server))
  })
}

/** A process by boot, pid and start time, so that no later process is taken for it. Undefined where none runs. */
function identity(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`)
  // The name of a process may hold spaces and brackets: fields are counted behind its last bracket.
  const [state = '', ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return state === '' || state === 'Z'
    ? undefined
    : `${read('/proc/sys/kernel/random/boot_id')}.${pid}.${fields[18] ?? ''}`
}

function lives(who: string): boolean {
  return who !== '' && identity(pidOf(who)) === who
}

function pidOf(who: string): number {
  return Number(who.split('.')[1])
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}
