/**
 * Whether logging out ends what is left running there. systemd-logind stops a session's scope when its user may be killed; lingering
 * does not save what is in it, only what runs under the user's own manager, which in turn ends with the last session unless
 * the user lingers. Outside both (no systemd, or no pam_systemd) nothing is ended. Pure.
 */

/** What the machine said, each as a list of lines. */
export interface LogindAnswers {
  /** Paths of the cgroups that the channel's shell is in. */
  readonly cgroups: readonly string[]
  /** KillUserProcesses, KillOnlyUsers and KillExcludeUsers as busctl prints them; empty where it cannot ask. */
  readonly bus: readonly string[]
  /** Existing configuration files. */
  readonly files: readonly string[]
  /** Their settings, as `FILE:NAME=VALUE`. */
  readonly settings: readonly string[]
  readonly lingers: boolean
  readonly user: string
}

/** What a person can do about it; null where logging out ends nothing. */
export function endsAtLogout(answers: LogindAnswers): { readonly text: string; readonly mend: string } | null {
  const { cgroups, lingers, user } = answers
  if (cgroups.some((path) => /\/session-[^/]+\.scope(\/|$)/.test(path)) && isKilled(answers))
    return {
      text: 'logging out kills what is left running (KillUserProcesses)',
      mend:
        `printf '[Login]\\nKillExcludeUsers=root ${user}\\n' | ` +
        'sudo install -D -m 644 /dev/stdin /etc/systemd/logind.conf.d/muster.conf && sudo systemctl restart systemd-logind',
    }
  if (cgroups.some((path) => /\/user@\d+\.service(\/|$)/.test(path)) && !lingers)
    return {
      text: 'what runs under the user manager ends with the last logout',
      mend: `loginctl enable-linger ${user}`,
    }
  return null
}

function isKilled(answers: LogindAnswers): boolean {
  const { kill, only, exclude } = answers.bus.length === 3 ? fromBus(answers.bus) : fromFiles(answers)
  const { user } = answers
  return kill && !exclude.includes(user) && (only.length === 0 || only.includes(user))
}

interface Policy {
  readonly kill: boolean
  readonly only: readonly string[]
  readonly exclude: readonly string[]
}

function fromBus([kill = '', only = '', exclude = '']: readonly string[]): Policy {
  const names = (line: string): string[] => [...line.matchAll(/"([^"]*)"/g)].map(([, name]) => name ?? '')
  return { kill: kill === 'b true', only: names(only), exclude: names(exclude) }
}

/** As systemd reads them: one main file, then drop-ins by their name, of two with one name that of the first directory. */
function fromFiles({ files, settings }: LogindAnswers): Policy {
  const rank = (file: string): number => DIRECTORIES.findIndex((directory) => file.startsWith(`${directory}/`))
  const byRank = [...files].sort((a, b) => rank(a) - rank(b))
  const main = byRank.find((file) => file.endsWith('/logind.conf'))
  const dropIns = new Map(
    byRank
      .filter((file) => file.includes('/logind.conf.d/'))
      .reverse()
      .map((file) => [file.slice(file.lastIndexOf('/') + 1), file]),
  )
  const inOrder = [...dropIns].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file)
  const said = settings.flatMap((line) => {
    const [, file, name, value] = /^(.*\.conf):\s*(\w+)\s*=\s*(.*)$/.exec(line) ?? []
    return file !== undefined && name !== undefined ? [{ file, name, value: (value ?? '').trim() }] : []
  })
  const last = (name: string): string | undefined =>
    [...(main === undefined ? [] : [main]), ...inOrder]
      .flatMap((file) => said.filter((setting) => setting.file === file && setting.name === name))
      .at(-1)?.value
  const names = (text: string): string[] => text.split(/\s+/).filter((name) => name !== '')
  return {
    kill: /^(1|y|yes|t|true|on)$/i.test(last('KillUserProcesses') ?? 'no'),
    only: names(last('KillOnlyUsers') ?? ''),
    exclude: names(last('KillExcludeUsers') ?? 'root'),
  }
}

const DIRECTORIES = ['/etc/systemd', '/run/systemd', '/usr/local/lib/systemd', '/usr/lib/systemd', '/lib/systemd']
