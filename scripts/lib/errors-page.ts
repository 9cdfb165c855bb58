/** docs/errors.md, from the table of errors. */

interface Row {
  readonly meaning: string
  readonly hint: string
  readonly retryable: boolean
}

/** The page that lists every code, in the order of the alphabet. */
export function errorsPage(errors: Readonly<Record<string, Row>>): string {
  const rows = Object.entries(errors).sort(([a], [b]) => (a < b ? -1 : 1))
  return `# Errors

<!-- Generated from packages/core/src/errors.ts by \`npm run docs\`. Do not edit. -->

Whatever leaves a package of muster as an error is a \`MusterError\`. Compare its \`code\`, never its message: the message
names what happened in this case, the hint what can be done. \`retryable\` says whether the same call may succeed later
without a change by the caller; one error can say otherwise where its case differs.

\`\`\`ts
import { isMusterError } from '@muster/core'

try {
  await muster.submit(definition, { key: 'exp-42' })
} catch (error) {
  if (!isMusterError(error, 'KEY_CONFLICT')) throw error
  console.error(error.message, error.hint)
}
\`\`\`

| code | meaning | hint | retryable |
| --- | --- | --- | --- |
${rows.map(([code, row]) => `| \`${code}\` | ${cell(row.meaning)} | ${cell(row.hint)} | ${row.retryable ? 'yes' : 'no'} |`).join('\n')}
`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
