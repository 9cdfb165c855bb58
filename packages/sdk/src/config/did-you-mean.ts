/** The name that was probably meant: for errors about a word that is not known. */

/** The closest of `known` within a third of the word's length (at least 1, at most 3 edits), or undefined. */
export function didYouMean(word: string, known: readonly string[]): string | undefined {
  const limit = Math.min(3, Math.max(1, Math.floor(word.length / 3)))
  const ranked = known.map((name) => ({ name, edits: distance(word.toLowerCase(), name.toLowerCase()) }))
  ranked.sort((a, b) => a.edits - b.edits)
  const best = ranked[0]
  return best && best.edits <= limit ? best.name : undefined
}

/** Levenshtein's distance, with two neighbours swapped counting as one edit. */
function distance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitute = cell(row, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? cell(before, j - 2) + 1 : Infinity
      next.push(Math.min(substitute, cell(row, j) + 1, cell(next, j - 1) + 1, swap))
    }
    before = row
    row = next
  }
  return cell(row, b.length)
}

function cell(row: readonly number[], index: number): number {
  return row[index] ?? Infinity
}
