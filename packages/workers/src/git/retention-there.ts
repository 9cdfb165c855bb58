/**
 * How long mirrors on a machine live: a mirror that nobody used for 30 days and no attempt borrows from goes as a whole, under its
 * lock; packs of a used one are kept few. Invariants: only directories of our form below cache/git are touched; single objects
 * are never pruned; what is removed could not be found any more when its age was looked at for the last time.
 */
import { join } from 'node:path'
import { MusterError, quote, type JsonValue, type MachineAccess } from '@muster/core'
import { MACHINE_PRELUDE } from './checkout.js'
import { payloadSchema } from './input.js'
import { markUsed } from './mirror.js'
import { UNUSED_DAYS, type TidyContext } from './retention.js'
import { EXIT, LOCK, REMOVE_LITTER, REPACK_IF_MANY } from './send-scripts.js'

const MIRROR = /^([0-9a-f]{32}(?:-full)?(?:-own)?\.git)(?:\.gone)?$/

/** Tidies the mirrors on a machine, at most once a day however often it is asked. One round trip where there is nothing to do. */
export async function tidyThere(
  machine: MachineAccess,
  needed: AsyncIterable<JsonValue>,
  context: TidyContext,
): Promise<void> {
  const { signal, logger } = context
  if (machine.isLocal) await markBorrowed(machine, context)
  const listed = await machine.run(listScript(machine), { signal })
  const names = new Set(
    listed.stdout
      .toString()
      .split('\n')
      .flatMap((name) => MIRROR.exec(name)?.[1] ?? []),
  )
  if (names.size === 0) return
  const { code, stdout, stderr } = await machine.run(tidyScript(machine, [...names], await namesOf(needed)), { signal })
  if (code === EXIT.noLock || code === EXIT.noGit) return
  if (code !== 0)
    throw new MusterError(
      'MACHINE_UNUSABLE',
      `the mirrors on ${machine.name} could not be tidied: ${stderr.toString()}`,
    )
  const gone = stdout
    .toString()
    .split('\n')
    .filter((name) => MIRROR.test(name))
  if (gone.length > 0)
    logger.info({ machine: machine.name, mirrors: gone }, 'removed mirrors that nobody used for 30 days')
}

/** Attempts on this host borrow from the controller's own mirrors, whichever record they belong to. */
async function markBorrowed({ run, stateDir }: MachineAccess, { mirrors, clock, signal }: TidyContext): Promise<void> {
  const { stdout } = await run(`cat -- ${alternatesBelow(stateDir)} 2>/dev/null || :`, { signal })
  const borrowed = new Set(stdout.toString().split('\n'))
  for (const objects of borrowed)
    if (objects.startsWith(`${mirrors}/`) && objects.endsWith('.git/objects'))
      await markUsed(join(objects, '..', 'HEAD'), clock)
}

async function namesOf(needed: AsyncIterable<JsonValue>): Promise<Set<string>> {
  const names = new Set<string>()
  for await (const recorded of needed) {
    const payload = payloadSchema.safeParse(recorded).data
    if (payload) names.add(`${payload.mirror}${payload.fetch === 'machine' ? '-own' : ''}.git`)
  }
  return names
}

const alternatesBelow = (stateDir: string): string => `${quote(stateDir)}/attempts/*/work/.git/objects/info/alternates`

/** Names nothing where the last time was less than a day ago. */
function listScript({ stateDir }: MachineAccess): string {
  return [
    `cd ${quote(`${stateDir}/cache/git`)} 2>/dev/null || exit 0`,
    '[ -z "$(find tidied -mtime -1 2>/dev/null)" ] || exit 0',
    'ls',
  ].join('\n')
}

function tidyScript({ stateDir }: MachineAccess, names: readonly string[], needed: ReadonlySet<string>): string {
  const cache = `${stateDir}/cache/git`
  const each = names.map((name) => `tidy ${name} ${needed.has(name) ? 'needed' : ''}`)
  return [
    MACHINE_PRELUDE,
    `command -v git >/dev/null || exit ${EXIT.noGit}`,
    LOCK,
    // Younger than the days in question: used, made, or given a commit.
    `used() { [ -n "$(find "$1/used" "$1/HEAD" "$1/refs/muster/keep" -mtime -${UNUSED_DAYS} 2>/dev/null | head -n 1)" ]; }`,
    `borrowed() { grep -qxF -- "$M/objects" ${alternatesBelow(stateDir)} 2>/dev/null; }`,
    `tidy() (
      M=${quote(cache)}/$1
      # Whoever holds it uses the mirror, maybe for long.
      lock -n || exit 0
      if [ -e "$M" ]; then rm -rf "$M.gone"; elif [ -e "$M.gone" ]; then mv "$M.gone" "$M"; fi
      [ -d "$M" ] && [ ! -L "$M" ] && [ -O "$M" ] && [ -f "$M/HEAD" ] || exit 0
      [ -z "$2" ] || true > "$M/used"
      ${REMOVE_LITTER}
      if used "$M" || borrowed; then ${REPACK_IF_MANY}; exit; fi
      mv "$M" "$M.gone" || exit 0
      if used "$M.gone"; then mv "$M.gone" "$M"; else rm -rf "$M.gone"; echo "$1"; fi
    )`,
    'result=0',
    ...each.map((call) => `${call} || result=$?`),
    `true > ${quote(`${cache}/tidied`)}`,
    'exit $result',
  ].join('\n')
}
