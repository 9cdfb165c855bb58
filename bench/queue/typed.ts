/** The queue as a team would define it: every message checked when it is published and when it is delivered. */
export function typedQueue(name: string): string {
  return name
}
