/**
 * Pages that show files of the tree: between `<!-- include PATH -->` and `<!-- /include -->` stands the file as it is now, so that
 * nobody reads an example that does not run.
 */
import { readFileSync } from 'node:fs'
import { extname } from 'node:path'

const INCLUDE = /<!-- include (\S+) -->\n[\s\S]*?<!-- \/include -->/g

/** The page with every included file as it is below `root`. */
export function withIncludes(page: string, root: URL): string {
  return page.replaceAll(INCLUDE, (_, path: string) => {
    const text = readFileSync(new URL(path, root), 'utf8').trimEnd()
    return `<!-- include ${path} -->\n\n\`\`\`${extname(path).slice(1)}\n${text}\n\`\`\`\n\n<!-- /include -->`
  })
}
