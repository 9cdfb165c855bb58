/** A bench that is a table: each row a function in a file of its own, measured one after the other, the machine to itself. */
import type { Context, Program } from './load.js'
import { asTable } from './report.js'
import type { Measured } from './result.js'

/** Measures one row of a table; a row may have several figures. */
export type Row = (context: Context) => Promise<readonly Measured[]>

/** The bench of these rows. BENCH_ROWS=a,b in the environment names the rows to run; by default all. */
export function runRows(rows: Readonly<Record<string, Row>>): Program<readonly Measured[]> {
  return async (context) => {
    const wanted = process.env['BENCH_ROWS']?.split(',')
    const results: Measured[] = []
    for (const [name, row] of Object.entries(rows)) {
      if (wanted && !wanted.includes(name)) continue
      context.log(`measuring ${name}`)
      const figures = await row(context)
      // At once, too: a run that is cut short has said what it found.
      context.log(asTable(figures))
      results.push(...figures)
    }
    refuseTwins(results)
    return results
  }
}

/** A program that compares two runs finds a figure by its name. */
function refuseTwins(results: readonly Measured[]): void {
  const names = results.map(({ name }) => name)
  const twin = names.find((name, index) => names.indexOf(name) !== index)
  if (twin !== undefined) throw new Error(`two figures of this bench are named ${JSON.stringify(twin)}`)
}
