/** Conditions: facts that lie beside a job's state and never change it. Absent means "not so". */

/** A wish to cancel that is not carried out yet, or was overtaken by the job's own end. */
export interface CancelRequested {
  /** When it was recorded, epoch milliseconds. */
  readonly at: number
  readonly by: string
  readonly reason: string
}

/** What survived KILL on the machine; the GPUs stay quarantined until freed by hand or a reboot. */
export interface Stuck {
  readonly pids: readonly number[]
  readonly gpus: readonly string[]
}

/** The facts beside a job's state. */
export interface Conditions {
  readonly cancelRequested?: CancelRequested
  /** Since when the machine has not confirmed the attempt, epoch milliseconds. */
  readonly unconfirmedSince?: number
  readonly stuck?: Stuck
  /** Ended, while its log and artifacts are still being brought here. */
  readonly collecting?: true
}

/** The names of all conditions. */
export const CONDITIONS = [
  'cancelRequested',
  'unconfirmedSince',
  'stuck',
  'collecting',
] as const satisfies readonly (keyof Conditions)[]

/** A change to conditions: a value sets one, `null` clears it, absence leaves it alone. */
export type ConditionPatch = { readonly [K in keyof Conditions]?: Conditions[K] | null }
