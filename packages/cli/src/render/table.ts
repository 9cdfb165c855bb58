/** A table for people: columns as wide as their widest cell, the last one cut to the terminal's width. */

/** Lays out rows of cells; the first row is the header. `width` 0 cuts nothing. */
export function table(rows: readonly (readonly string[])[], width: number): string[] {
  const columns = rows[0]?.length ?? 0
  const widths = Array.from({ length: columns }, (_, c) => Math.max(...rows.map((row) => (row[c] ?? '').length)))
  return rows.map((row) => {
    const cells = row.map((cell, c) => (c === columns - 1 ? cell : cell.padEnd(widths[c] ?? 0)))
    return cut(cells.join('  ').trimEnd(), width)
  })
}

/** Cuts a line to a width, saying so with an ellipsis; 0 cuts nothing. */
export function cut(line: string, width: number): string {
  return width > 0 && line.length > width ? `${line.slice(0, Math.max(0, width - 1))}…` : line
}

/** Text from a job or a person as one line of a table. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\s]+/gu, ' ').trim()
}
