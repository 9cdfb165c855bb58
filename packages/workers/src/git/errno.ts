/** The system's word for a failure: errors of files and processes are told apart by it, and by nothing else. */

/** The code of a system error (`ENOENT`), undefined for any other value. */
export function errno(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** For `.catch()`: a missing file becomes `value`, any other failure goes on. */
export function ifMissing<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (errno(error) === 'ENOENT' || errno(error) === 'ENOTDIR') return value
    throw error
  }
}
