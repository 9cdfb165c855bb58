/** docs/guarantees.md: every promise names a test, and every test that it names is there under that title. */
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const page = readFileSync(resolve(root, 'docs/guarantees.md'), 'utf8')

/** What is wrong with a page of guarantees: nothing, for one that can be trusted. */
function faults(text: string): string[] {
  const [promises = '', table = ''] = text.split('## The tests')
  const tests = table.split('\n').flatMap((line) => {
    const [, mark = '', file = '', title = ''] = line.split('|').map((cell) => cell.trim())
    return /^[A-Z]\d+$/.test(mark) ? [{ mark, file, title }] : []
  })
  const known = new Set(tests.map(({ mark }) => mark))
  const used = new Set([...promises.matchAll(/\[([A-Z]\d+)\]/g)].map(([, mark]) => mark ?? ''))
  const sentences = promises.split(/\n(?=- )/).slice(1)
  const unproven = sentences
    .map((sentence) => sentence.split('\n\n')[0] ?? '')
    .filter((sentence) => !/(\[[A-Z]\d+\]|\[no test: .+\])$/s.test(sentence.trim()))
  return [
    ...unproven.map((sentence) => `no mark: ${sentence}`),
    ...[...used].filter((mark) => !known.has(mark)).map((mark) => `no such test: ${mark}`),
    ...[...known].filter((mark) => !used.has(mark)).map((mark) => `of no promise: ${mark}`),
    ...(known.size === tests.length ? [] : ['a mark is given twice']),
    ...tests.filter((test) => !isThere(test)).map(({ mark, title, file }) => `${mark}: ${file} has no '${title}'`),
  ]
}

/** Whether a test of that title stands in the file; a template's figures aside. */
function isThere({ file, title }: { readonly file: string; readonly title: string }): boolean {
  const path = resolve(root, file)
  return title !== '' && existsSync(path) && readFileSync(path, 'utf8').includes(title)
}

describe('docs/guarantees.md', () => {
  it('points to tests that are there, from every promise', () => {
    expect(faults(page)).toEqual([])
    expect(page.match(/^- /gm)?.length).toBeGreaterThan(30)
  })

  it.each([
    ['a test that was renamed', page.replace('13 settled stays settled', '13 settled mostly stays settled')],
    ['a file that was moved', page.replace('durability.test.ts', 'lasting.test.ts')],
    ['a promise without a mark', page.replace(' [S15]', '')],
    ['a mark that means nothing', page.replace(' [S15]', ' [S99]')],
    ['a test of no promise', page.replace(/ \[S15\]/g, ' [S14]')],
  ])('is red for %s', (_, wrong) => {
    expect(faults(wrong)).not.toEqual([])
  })
})
