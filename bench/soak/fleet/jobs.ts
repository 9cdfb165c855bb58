/**
 * The jobs of the soak: short, of several kinds, each with the ends that would be true. A job says in a file of its machine when it
 * starts, every tenth of a second that it lives, and what it is about to exit with: its own word, which the record is held against.
 */
import { command } from '@muster/sdk'
import type { AttemptOutcome, JobDefinitionInput, SubmitOptions } from '@muster/core'
import type { Dice } from './dice.js'

/** Where jobs write on their machine. */
export const LEDGER = '/home/ada/ledger'

/** How often each kind is submitted. */
const WEIGHTS = { plain: 70, fails: 8, retried: 5, hangs: 4, leaves: 5, cancelled: 5, replaceable: 3 } as const
/** See {@link KINDS}. */
export type Kind = keyof typeof WEIGHTS

/** What may become of a kind: how its attempts may end by its own doing, how the job may end, and what it exits with. */
interface Fate {
  readonly outcomes: readonly AttemptOutcome[]
  readonly states: readonly string[]
  readonly exitCode: number
  readonly options: SubmitOptions
}

/** All kinds. A lost machine or supervisor repeats any of them. */
export const KINDS: Readonly<Record<Kind, Fate>> = {
  plain: { outcomes: ['succeeded'], states: ['completed'], exitCode: 0, options: {} },
  fails: { outcomes: ['exit'], states: ['failed exit'], exitCode: 3, options: {} },
  retried: { outcomes: ['exit'], states: ['failed exit'], exitCode: 7, options: { retries: 1 } },
  hangs: { outcomes: ['timeout'], states: ['failed timeout'], exitCode: 0, options: { timeout: '1s' } },
  /** Leaves a child behind that ignores TERM, in a session of its own. */
  leaves: { outcomes: ['succeeded'], states: ['completed'], exitCode: 0, options: {} },
  cancelled: { outcomes: ['succeeded', 'cancelled'], states: ['completed', 'cancelled'], exitCode: 0, options: {} },
  /** Declares that a second copy does no harm after two seconds of silence. */
  replaceable: {
    outcomes: ['succeeded'],
    states: ['completed'],
    exitCode: 0,
    options: { onLost: { replaceAfter: '2s' } },
  },
}

/** A job to submit. */
export interface Order {
  readonly kind: Kind
  readonly definition: JobDefinitionInput
  readonly options: SubmitOptions
  /** When it is cancelled, milliseconds after its submit; null: never. */
  readonly cancelMs: number | null
}

/** The next job. */
export function nextOrder(dice: Dice): Order {
  const kind = dice.pick(WEIGHTS)
  const ticks = kind === 'hangs' ? 1_000 : kind === 'cancelled' ? 30 : Math.floor(dice.between(0, 8))
  const { exitCode, options } = KINDS[kind]
  return {
    kind,
    definition: command({ run: script(kind, ticks, exitCode) }),
    options: { grace: '300ms', labels: { kind }, ...options },
    cancelMs: kind === 'cancelled' ? dice.between(0, 4_000) : null,
  }
}

/** What the log of an attempt that came to its end holds. */
export function expectedLog(name: string, ticks: number): string {
  return [`start ${name}`, ...Array.from({ length: ticks }, (_, at) => `tick ${at}`), `end ${name}`, ''].join('\n')
}

/** The uptime is the same clock on all machines, since they share a kernel; it is read without starting a process. */
function script(kind: Kind, ticks: number, exitCode: number): string {
  const leave = kind === 'leaves' ? `setsid sh -c 'trap "" TERM; sleep 300' &` : ''
  return `
name=$MUSTER_JOB_ID.$MUSTER_ATTEMPT
say() { read -r now rest </proc/uptime; echo "$now $name $*" >>${LEDGER}; }
say start
echo "start $name"
${leave}
i=0
while [ $i -lt ${ticks} ]; do
  sleep 0.1
  say tick
  echo "tick $i"
  i=$((i + 1))
done
printf '{"of":"%s","ticks":%d}' "$name" $i >"$MUSTER_RESULT"
echo "end $name"
say end ${exitCode}
exit ${exitCode}
`
}
