/** What the readers of the user's ssh files share. */

/** What the system calls the failure: `ENOENT` and the like. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
