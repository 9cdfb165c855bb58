/**
 * The one image of all test machines: Debian with sshd, git and the shells people have, made from the distribution's own
 * packages, since nothing can be pulled where this runs. Invariant: its tag is the hash of its recipe, so that it is built
 * once per recipe and host, and never is another one than the recipe says.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { MusterError } from '@muster/core'
import { engine, type Engine } from './engine.js'

const REPOSITORY = 'muster-testing'
const PACKAGES = [
  ...['openssh-server', 'openssh-client', 'git', 'perl-base', 'util-linux', 'procps', 'passwd', 'e2fsprogs', 'mount'],
  ...['busybox', 'dash', 'bash', 'fish', 'tcsh', 'tini', 'ca-certificates'],
  ...['redis-server', 'rabbitmq-server'],
]
const OPTIONS = [
  '--variant=minbase',
  `--include=${PACKAGES.join(',')}`,
  ...['man', 'doc', 'info', 'locale'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
  // Every machine makes its own host keys.
  '--customize-hook=rm -f "$1"/etc/ssh/ssh_host_*',
]

/**
 * The image's name, built first where this host does not have it (about a minute, as root, with mmdebstrap and the apt
 * sources of this host). `say` gets a line before that.
 * @throws MusterError `MACHINE_UNUSABLE` when it cannot be built
 */
export async function serverImage(say: (line: string) => void = () => undefined): Promise<string> {
  const docker = await engine()
  const tag = createHash('sha256')
    .update(JSON.stringify([suite(), process.arch, OPTIONS]))
    .digest('hex')
    .slice(0, 12)
  const image = `${REPOSITORY}:${tag}`
  if (await has(docker, image)) return image
  say(`building the image of the test machines, ${image}, from Debian's packages: about a minute, once`)
  await build(docker, tag)
  return image
}

async function has(docker: Engine, image: string): Promise<boolean> {
  return (await docker.listImages({ filters: { reference: [image] } })).length > 0
}

/** The image gets its tag only after mmdebstrap has ended well: a cut stream would import as an image with files missing. */
async function build(docker: Engine, tag: string): Promise<void> {
  const child = spawn('mmdebstrap', [...OPTIONS, ...(await proxies()), suite(), '-', '-'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
  })
  const ended = once(child, 'close') as Promise<[number | null]>
  child.stdin.end(await sources())
  const building = `building-${tag}-${process.pid}`
  const said = text(child.stderr)
  try {
    const answer = await docker.importImage(child.stdout, { repo: REPOSITORY, tag: building })
    await text(answer)
    const [code] = await ended
    if (code !== 0) throw new Error(`mmdebstrap ended with ${String(code)}: ${(await said).slice(-2_000)}`)
    await docker.getImage(`${REPOSITORY}:${building}`).tag({ repo: REPOSITORY, tag })
  } catch (cause) {
    child.kill()
    throw new MusterError('MACHINE_UNUSABLE', `the image of the test machines cannot be built: ${String(cause)}`, {
      hint: 'On Debian, as root: apt-get install mmdebstrap',
      cause,
    })
  } finally {
    if (await has(docker, `${REPOSITORY}:${building}`)) await docker.getImage(`${REPOSITORY}:${building}`).remove()
  }
}

/** Debian's own sources of this host, which may be mirrors near it; other vendors' would only slow the build. */
async function sources(): Promise<string> {
  const format = 'deb $(SITE) $(RELEASE) $(COMPONENT)'
  const lines = await output('apt-get', ['indextargets', '--format', format, 'Created-By: Packages', 'Origin: Debian'])
  return lines === '' ? `deb http://deb.debian.org/debian ${suite()} main\n` : lines
}

async function proxies(): Promise<string[]> {
  const lines = (await output('apt-config', ['dump'])).split('\n').filter((line) => /^Acquire::.*proxy/i.test(line))
  return lines.map((line) => `--aptopt=${line}`)
}

async function output(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const gone = once(child, 'close')
  const said = await text(child.stdout)
  await gone
  return said
}

function suite(): string {
  const [, name] = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8')) ?? []
  return name ?? 'bookworm'
}
