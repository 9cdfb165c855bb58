/**
 * A job's shape: all of its request that decides where it may run. Jobs of one shape are placed, or refused, alike, so a
 * scheduler that found one unplaceable skips the others by their shape, and the record stores each shape once.
 */
import { canonicalJson, type JobSpec } from '@muster/core'

/** What a shape is made of. */
export type Shape = Pick<JobSpec, 'worker' | 'queue' | 'resources' | 'machine' | 'machineLabels' | 'secrets'>

/** The shape of a spec as text: equal exactly where everything that decides about the placement is equal. */
export function shapeOf(spec: Shape): string {
  const { machine, machineLabels, queue, resources, secrets, worker } = spec
  return canonicalJson({ machine, machineLabels, queue, resources, secrets, worker })
}
