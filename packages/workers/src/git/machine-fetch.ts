/**
 * `fetch: 'machine'`: the machine fetches the commit from its URL by itself, with whatever credentials its user has there. Nothing
 * of ours goes along but the URL and the name of the commit. Such commits have a mirror of their own on the machine.
 *
 * What runs there: git, ssh, and what the user's own configuration names for getting at credentials (credential helpers,
 * core.sshCommand). What does not, whatever that configuration says: hooks, monitors, filters, templates, maintenance.
 */
import { MusterError, quote, type MachineAccess, type RunResult } from '@muster/core'
import { MACHINE_PRELUDE } from './checkout.js'
import { FETCH_CONFIGURATION, fetchOptions, type FetchContext } from './fetch.js'
import { gitFailure } from './git-errors.js'
import type { Payload } from './input.js'
import { whatItLacks } from './lacking.js'
import { keepRef } from './mirror.js'
import { EXIT, LOCK, REPACK_IF_MANY, keptOr, makeMirror } from './send-scripts.js'

const LIMIT_MS = 3_600_000

/**
 * Has the machine fetch the commit, and says where its mirror lies. Throws REPO_NOT_FOUND, REF_NOT_FOUND, GIT_FAILED and what else
 * git's words mean, all saying that it was the machine; and as {@link whatItLacks} says.
 */
export async function fetchThere(payload: Payload, machine: MachineAccess, context: FetchContext): Promise<string> {
  if (payload.origin.kind !== 'url') throw new MusterError('INVALID_ARGUMENT', 'a machine can fetch from a URL only')
  const { url } = payload.origin
  const there = `${machine.stateDir}/cache/git/${payload.mirror}-own.git`
  context.progress(`${machine.name} fetches commit ${payload.commit.slice(0, 12)} from ${url}`)
  const script = fetchScript(there, url, payload, context.silenceMs)
  const result = await limited(context, (signal) => machine.run(script, { signal }))
  if (result === undefined) throw failed(machine, url, { code: null, said: 'it did not end within an hour' })
  if (result.code === 0 || result.code === EXIT.alreadyThere) return there
  throw (
    whatItLacks(machine, result) ?? failed(machine, url, { code: result.code, said: result.stderr.toString('utf8') })
  )
}

/** Undefined where it took too long: then it was aborted, which leaves nothing running there. */
async function limited(
  { clock, signal }: FetchContext,
  work: (signal: AbortSignal) => Promise<RunResult>,
): Promise<RunResult | undefined> {
  const limit = new AbortController()
  const cancel = clock.after(LIMIT_MS, () => limit.abort())
  try {
    return await work(AbortSignal.any([signal, limit.signal]))
  } catch (error) {
    if (limit.signal.aborted && !signal.aborted) return undefined
    throw error
  } finally {
    cancel()
  }
}

function failed(
  machine: MachineAccess,
  url: string,
  { code, said }: { code: number | null; said: string },
): MusterError {
  const error = gitFailure({ args: ['fetch'], code, said: said.slice(-4_000) })
  return new MusterError(error.code, `${machine.name} could not fetch for itself: ${error.message}`, {
    hint: `It uses the credentials that it has. Log in there and try: git ls-remote ${quote(url)} (or leave the fetch to the controller)`,
    details: { ...error.details, machine: machine.name },
  })
}

/** Makes or opens the mirror, fetches under its lock (whoever waits finds the commit there), and pins. */
function fetchScript(
  mirror: string,
  url: string,
  { commit, objectFormat, history }: Payload,
  silenceMs: number,
): string {
  const stalls = Math.ceil(silenceMs / 1_000)
  const configuration = [
    ...FETCH_CONFIGURATION,
    ...['core.fsmonitor=false', 'core.attributesFile=/dev/null', 'core.askPass=', 'core.alternateRefsCommand=false'],
    ...['http.lowSpeedLimit=1', `http.lowSpeedTime=${stalls}`],
  ].flatMap((word, index) => (index < FETCH_CONFIGURATION.length ? [word] : ['-c', word]))
  const fetch = ['fetch', '-q', ...fetchOptions(history), '--end-of-options', url, `+${commit}:${keepRef(commit)}`]
  return [
    MACHINE_PRELUDE,
    `M=${quote(mirror)}`,
    `command -v git >/dev/null || exit ${EXIT.noGit}`,
    `if [ -e "$M" ] || [ -L "$M" ]; then [ -O "$M" ] && [ ! -L "$M" ] || exit ${EXIT.notOurs}; fi`,
    ...keptOr(commit),
    'set -e',
    'mkdir -p "${M%/*}"',
    LOCK,
    'lock',
    ...makeMirror(objectFormat),
    ...keptOr(commit)
      .slice(1)
      .map((line) => `${line} || :`),
    // Under the lock no git of ours is alive that could own these.
    `rm -f "$M"/*.lock "$M/${keepRef(commit)}.lock"`,
    '(',
    // The user's configuration, for its credentials.
    'unset GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_CONFIG_NOSYSTEM',
    'GIT_ALLOW_PROTOCOL=https:ssh; export GIT_ALLOW_PROTOCOL',
    // An ssh that the user chose is called as the user wrote it; without a terminal it cannot ask either.
    'git config --get core.sshCommand >/dev/null || {',
    `  GIT_SSH_COMMAND='ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15 -o ServerAliveCountMax=${Math.max(2, Math.ceil(stalls / 15))}'`,
    '  export GIT_SSH_COMMAND',
    '}',
    // Without the lock's descriptor: a credential daemon that git starts would hold it for ever.
    `exec git --git-dir="$M" ${[...configuration, ...fetch].map(quote).join(' ')} </dev/null 9>&-`,
    ')',
    `read -r kept < "$M/${keepRef(commit)}"`,
    REPACK_IF_MANY,
  ].join('\n')
}
