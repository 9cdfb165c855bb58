/** The SQLite record against the contract of its seam. */
import { openStore } from '@muster/job-manager'
import { jobStoreSuite } from '@muster/testing'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

// In a process of its own: a second SQLite in this one would break the locks of the record.
const PLAIN = `import Database from 'libsql'; new Database(process.argv[1]).exec(process.argv[2])`

jobStoreSuite({
  name: 'sqlite',
  module: import.meta.resolve('@muster/job-manager'),
  fresh: async () => {
    const directory = await mkdtemp(join(tmpdir(), 'muster-test-'))
    return { location: `sqlite:${join(directory, 'jobs.db')}`, remove: () => rm(directory, { recursive: true }) }
  },
  open: openStore,
  sql: async (location, statement) => {
    const file = location.slice('sqlite:'.length)
    const options = ['--input-type=module', '-e', PLAIN, file, statement]
    await promisify(execFile)(process.execPath, options, { cwd: import.meta.dirname })
  },
})
