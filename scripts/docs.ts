/**
 * Writes the pages that derive from something else: docs/errors.md and docs/job-states.md from tables in @muster/core, README.md
 * from the examples that it shows. With `--check` it writes nothing and fails where a page is not what its source says. `--root DIR`
 * looks at the pages of another tree.
 */
import { ERRORS } from '@muster/core'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { format, resolveConfig } from 'prettier'
import { errorsPage } from './lib/errors-page.js'
import { withIncludes } from './lib/includes.js'
import { jobStatesPage } from './lib/job-states-page.js'

const { values } = parseArgs({ options: { check: { type: 'boolean' }, root: { type: 'string', default: '.' } } })
const pages = {
  'docs/errors.md': errorsPage(ERRORS),
  'docs/job-states.md': jobStatesPage(),
  'README.md': withIncludes(
    readFileSync(new URL('../README.md', import.meta.url), 'utf8'),
    new URL('..', import.meta.url),
  ),
}

for (const [path, text] of Object.entries(pages)) {
  const file = join(values.root, path)
  const wanted = await format(text, {
    ...(await resolveConfig(join(import.meta.dirname, '..', path))),
    parser: 'markdown',
  })
  if (existsSync(file) && readFileSync(file, 'utf8') === wanted) continue
  if (values.check) {
    console.error(`${path} is not what its source says. Run: npm run docs`)
    process.exitCode = 1
  } else {
    writeFileSync(file, wanted)
    console.log(`wrote ${path}`)
  }
}
