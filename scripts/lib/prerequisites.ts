/** What the tests need beside Node: installed where that is possible without asking, else named with the command to type. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { engineAnswers } from './engine.js'
import { run } from './run.js'

/** Programs that the tests call, with the Debian package that holds each. */
const PROGRAMS: Readonly<Record<string, string>> = {
  git: 'git',
  flock: 'util-linux',
  setsid: 'util-linux',
  perl: 'perl-base',
  ssh: 'openssh-client',
  mmdebstrap: 'mmdebstrap',
}

/** The container engine's, needed where none answers. */
const ENGINE: Readonly<Record<string, string>> = { dockerd: 'docker.io', iptables: 'iptables' }

/** Whether everything is here afterwards. Says each step in a line. */
export async function prerequisites(): Promise<boolean> {
  if (process.platform !== 'linux') return refuse('the tests start jobs on this machine, and machines run Linux')
  const programs = (await engineAnswers()) ? PROGRAMS : { ...PROGRAMS, ...ENGINE }
  const missing = Object.keys(programs).filter((program) => !onPath(program))
  if (missing.length === 0) return true
  const names = [...new Set(missing.map((program) => programs[program] ?? program))]
  if (!onPath('apt-get')) return refuse(`missing: ${missing.join(', ')}. Install them with your package manager`)
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', ...names]
  if (process.getuid?.() !== 0)
    return refuse(`missing: ${missing.join(', ')}. Run: sudo apt-get update && sudo ${install.join(' ')}`)
  for (const line of [['apt-get', 'update'], install]) {
    console.log(`missing: ${missing.join(', ')}; running: ${line.join(' ')}`)
    const { ok, output } = await run(line, { env: { DEBIAN_FRONTEND: 'noninteractive' } })
    if (!ok) return refuse(`${line.join(' ')} failed:\n${output}`)
  }
  return true
}

function refuse(why: string): false {
  console.error(`cannot test here: ${why}`)
  return false
}

function onPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
