/**
 * A home for the tests of one run: no test reads the configuration, or touches the record, of whoever runs them.
 * `npm test` makes one for all its stages (and sweeps it); a vitest started by hand gets its own here.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT_VARIABLE, testEnvironment } from '../../scripts/lib/test-home.js'

export default function setup(): (() => void) | undefined {
  if (process.env[ROOT_VARIABLE] !== undefined) return undefined
  const root = mkdtempSync(join(tmpdir(), 'muster-test-run-'))
  Object.assign(process.env, testEnvironment(root))
  return () => {
    rmSync(root, { recursive: true, force: true })
  }
}
