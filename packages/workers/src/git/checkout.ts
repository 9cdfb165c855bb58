/**
 * The script that makes an attempt's work directory: a small repository that borrows its objects from a mirror. Invariant:
 * nothing runs but git itself, whatever the commit, the machine's configuration or its home directory hold.
 */
import { MusterError, quote } from '@muster/core'
import type { Payload } from './input.js'

const QUIET_CONFIGURATION = [
  'GIT_CONFIG_GLOBAL=/dev/null',
  'GIT_CONFIG_SYSTEM=/dev/null',
  'GIT_CONFIG_NOSYSTEM=1',
  'GIT_ATTR_NOSYSTEM=1',
  'GIT_TERMINAL_PROMPT=0',
].join(' ')

/** For git on a machine: no configuration but ours, no hooks, no attributes of the home directory. */
export const ON_MACHINE = [
  'core.hooksPath=/dev/null',
  'core.attributesFile=/dev/null',
  'core.fsmonitor=false',
  'gc.auto=0',
  'checkout.workers=2',
]
  .map((setting) => `-c ${setting}`)
  .join(' ')

/** Those of the caller that would lead git elsewhere, make it run something, or are fatal. */
const LEADING_ASTRAY = [
  'DIR WORK_TREE OBJECT_DIRECTORY ALTERNATE_OBJECT_DIRECTORIES COMMON_DIR INDEX_FILE NAMESPACE SHALLOW_FILE GRAFT_FILE',
  'CONFIG CONFIG_COUNT CONFIG_PARAMETERS DEFAULT_HASH QUARANTINE_PATH EXEC_PATH TEMPLATE_DIR EXTERNAL_DIFF REPLACE_REF_BASE',
  'SSH SSH_COMMAND SSH_VARIANT ASKPASS PROXY_COMMAND PROTOCOL TRACE TRACE_CURL TRACE_PACKET TRACE2 TRACE2_EVENT TRACE2_PERF',
]
  .flatMap((line) => line.split(' '))
  .map((name) => `GIT_${name}`)
  .join(' ')

/** The first lines of every script that calls git on a machine. */
export const MACHINE_PRELUDE = `umask 077; unset ${LEADING_ASTRAY} SSH_ASKPASS; LC_ALL=C; export LC_ALL ${QUIET_CONFIGURATION}`

/** The script, to be run in the empty work directory. `mirror` is the absolute path of the mirror on that machine. */
export function checkoutScript(mirror: string, { commit, objectFormat, history }: Payload): string {
  // git reads that file by lines and has no way to write a line break in it.
  if (/[\r\n]/.test(mirror))
    throw new MusterError('STATE_DIR_UNSAFE', 'git cannot borrow from a directory with a line break in its name')
  const objects = quote(`${mirror}/objects`)
  return [
    '(',
    'set -e',
    MACHINE_PRELUDE,
    `[ -O ${quote(mirror)} ] || { echo ${quote(`muster: the mirror ${mirror} is gone, or not ours`)} >&2; exit 1; }`,
    `git init -q --template= --object-format=${objectFormat} .`,
    'mkdir -p .git/objects/info',
    `printf '%s\\n' ${objects} > .git/objects/info/alternates`,
    ...(history === 'snapshot' ? [`printf '%s\\n' ${commit} > .git/shallow`] : []),
    `git ${ON_MACHINE} update-ref --no-deref HEAD ${commit}`,
    `git ${ON_MACHINE} reset --hard -q ${commit}`,
    ')',
  ].join('\n')
}
