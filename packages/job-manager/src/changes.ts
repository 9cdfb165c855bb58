/** "Something changed", for people who do not care what: at most one call for all commits of a moment. */
import type { SqlDriver } from './sql/driver.js'

/** Calls back soon after any process changed the record; commits of one turn are one call. Returns the removal. */
export function onChange(driver: SqlDriver, listener: () => void): () => void {
  let told = false
  return driver.listen(() => {
    if (told) return
    told = true
    queueMicrotask(() => {
      told = false
      listener()
    })
  })
}
