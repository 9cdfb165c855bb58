/**
 * The supervisor: one POSIX sh text for dash, busybox ash and bash, kept on the machine under its own hash, so that an attempt is
 * finished by the text that started it. Run with a verb it supervises (`run`) or cleans up (`reap`); sourced on the control
 * channel it lends its functions to a request.
 */
import { createHash } from 'node:crypto'
import { COMMON } from './common.js'
import { FINISH } from './finish.js'
import { RUN } from './run.js'
import { sh } from './sh.js'
import { TREE } from './tree.js'
import { VERBS } from './verbs.js'

const MAIN = sh`
case \${1-} in
run) shift; m_run "$@" ;;
reap) shift; m_reap "$@" ;;
esac
`

/** The text, without its comments: it is read again at every request. */
export const SUPERVISOR = [COMMON, TREE, VERBS, RUN, FINISH, MAIN].join('').replaceAll(/^\s*#.*\n/gm, '')

/** The name of its file below `bin/`. */
export const SUPERVISOR_NAME = `sup-${createHash('sha256').update(SUPERVISOR).digest('hex').slice(0, 16)}`
