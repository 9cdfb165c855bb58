/** What the design has and this version has not: refused by name, with the version that brings it, never half-accepted. */

const SSH = 'machines over SSH arrive with muster 0.2; this version runs jobs on the machine at hand (transport: local)'

/** Throws what `fail` makes of the first thing in a configuration that a later version brings. */
export function refuseLaterVersions(content: unknown, fail: (path: PropertyKey[], message: string) => Error): void {
  if (typeof content !== 'object' || content === null || !('machines' in content) || !Array.isArray(content.machines))
    return
  content.machines.forEach((machine: unknown, index) => {
    if (typeof machine !== 'object' || machine === null) return
    if ('ssh' in machine) throw fail(['machines', index, 'ssh'], SSH)
    if ('transport' in machine && machine.transport === 'ssh') throw fail(['machines', index, 'transport'], SSH)
  })
}

/** The version that brings a store or backend of this scheme, as the end of a sentence, or undefined. */
export function laterScheme(url: string): string | undefined {
  const scheme = /^([a-z][a-z0-9+]*):/i.exec(url)?.[1]?.toLowerCase() ?? ''
  if (['redis', 'rediss', 'amqp', 'amqps'].includes(scheme))
    return 'arrives with muster 0.3; this version has `backend: local`'
  if (['postgres', 'postgresql'].includes(scheme))
    return 'arrives with muster 0.4; this version keeps its record in SQLite, `store: sqlite:PATH`'
  return undefined
}
