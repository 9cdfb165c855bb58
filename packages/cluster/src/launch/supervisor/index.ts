/**
 * The supervisor: one POSIX sh text for dash, busybox ash and bash, kept on the machine under its own hash, so that an attempt is
 * finished by the text that started it. `run` is a program that supervises (`run`) or cleans up (`reap`); `ask` is sourced by
 * every request on the control channel.
 */
import { createHash } from 'node:crypto'
import { COMMON } from './common.js'
import { FINISH } from './finish.js'
import { RUN } from './run.js'
import { sh } from './sh.js'
import { TREE } from './tree.js'
import { VERBS } from './verbs.js'

const MAIN = sh`
case $1 in
run) shift; m_run "$@" ;;
reap) shift; m_reap "$@" ;;
esac
`

/** The two texts, without comments and indentation: one of them is read again at every request. */
export const SUPERVISOR = {
  ask: bare(COMMON + VERBS),
  run: bare(COMMON + TREE + RUN + FINISH + MAIN),
}

/** The name of their directory below `bin/`. */
export const SUPERVISOR_HASH = createHash('sha256')
  .update(SUPERVISOR.ask)
  .update(SUPERVISOR.run)
  .digest('hex')
  .slice(0, 16)

function bare(text: string): string {
  return text.replaceAll(/^\s*#.*\n/gm, '').replaceAll(/^[ \n]+/gm, '')
}
