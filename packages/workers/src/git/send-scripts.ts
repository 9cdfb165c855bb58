/**
 * The machine's half of what happens in a mirror there, as POSIX sh. One lock per mirror guards its creation, the list of cut-off commits, the ref
 * and the repack; the byte stream, which takes long, needs none. The lock is a kernel's: it goes with its process.
 */
import { quote } from '@muster/core'
import { MACHINE_PRELUDE } from './checkout.js'
import { STRICT } from './fsck.js'
import { keepRef, type Mirror } from './mirror.js'
import { MAX_PACKS } from './tidy.js'

/** What the scripts answer by their exit status; anything else is git's. */
export const EXIT = { noLock: 106, noGit: 107, notOurs: 108, alreadyThere: 109 } as const

/**
 * Ends the script where the commit is there. Asking is a use of the mirror, said before it is looked for: whoever removes an unused
 * one looks at its age once more when nobody can find it any more.
 */
export function keptOr(commit: string): readonly string[] {
  return [
    '{ true > "$M/used"; } 2>/dev/null',
    `{ read -r kept < "$M/${keepRef(commit)}"; } 2>/dev/null && [ "$kept" = ${commit} ] && exit ${EXIT.alreadyThere}`,
  ]
}

/** Under the lock: makes the mirror where it is missing, whole or not at all, and removes what killed writers left. */
export function makeMirror(objectFormat: Mirror['objectFormat']): readonly string[] {
  return [
    `[ -e "$M/HEAD" ] || { rm -rf "$M" "$M.new"; git init -q --bare --template= --object-format=${objectFormat} -- "$M.new"; mv "$M.new" "$M"; }`,
    'true > "$M/used"',
    REMOVE_LITTER,
  ]
}

/** Under the lock, beside others that are writing: what vanishes meanwhile is no failure. */
export const REMOVE_LITTER = `{ find "$M/objects/pack" -name 'tmp_*' -mmin +60 -exec rm -f {} + 2>/dev/null || :; }`
/** Under the lock: safe for those who borrow, since it keeps every object. */
export const REPACK_IF_MANY =
  'set -- "$M"/objects/pack/*.pack; ' +
  `if [ $# -gt ${MAX_PACKS} ]; then git --git-dir="$M" repack -q -d --geometric=2 9>&-; fi`

/** Says by its exit that the commit is there, or prints commits that are. */
export function askScript(mirror: string, commit: string): string {
  return [
    MACHINE_PRELUDE,
    `M=${quote(mirror)}`,
    `command -v git >/dev/null || exit ${EXIT.noGit}`,
    '[ -e "$M" ] || [ -L "$M" ] || exit 0',
    `[ -O "$M" ] && [ ! -L "$M" ] || exit ${EXIT.notOurs}`,
    ...keptOr(commit),
    // Tips only, unsorted: with many of them sorting would read each commit.
    `git --git-dir="$M" for-each-ref --count=64 --format='%(objectname)' refs/muster/keep`,
  ].join('\n')
}

/** Reads a pack from standard input and pins the commit. */
export function receiveScript(mirror: string, commit: string, { objectFormat, history }: Mirror): string {
  const inMirror = 'git --git-dir="$M"'
  const cut = [
    // Before index-pack, which otherwise looks for the parents.
    `{ cat "$M/shallow" 2>/dev/null || :; echo ${commit}; } | sort -u > "$M/shallow.tmp"`,
    'mv "$M/shallow.tmp" "$M/shallow"',
  ]
  return [
    'set -e',
    MACHINE_PRELUDE,
    `M=${quote(mirror)}`,
    'mkdir -p "${M%/*}"',
    LOCK,
    'lock',
    ...makeMirror(objectFormat),
    ...(history === 'snapshot' ? cut : []),
    'unlock',
    `${inMirror} index-pack --stdin --fix-thin ${STRICT} >/dev/null`,
    `${inMirror} cat-file -e '${commit}^{tree}'`,
    'lock',
    // Under the lock nobody else writes refs, so a lock of git is the one of a killed predecessor.
    `rm -f "$M/${keepRef(commit)}.lock"`,
    `${inMirror} -c core.hooksPath=/dev/null update-ref ${keepRef(commit)} ${commit}`,
    REPACK_IF_MANY,
  ].join('\n')
}

/** Functions that take and give back the lock of the mirror `$M`. `lock -n` fails where somebody holds it. */
export const LOCK = `lock() {
  exec 9>"$M.lock"
  if command -v flock >/dev/null; then flock $1 9
  elif command -v perl >/dev/null; then perl -e 'open(F, ">&=9") && flock(F, @ARGV ? 6 : 2) or exit 1' -- $1
  else exit ${EXIT.noLock}
  fi
}
unlock() { exec 9>&-; }`
