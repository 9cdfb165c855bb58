/**
 * What a reader of the packages meets: every export says what it is (TSDoc), no published type holds `any`, and every source
 * file opens with why it exists. Exports are those of each package's index; published types are the built declarations.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import ts from 'typescript'

const packages = readdirSync('packages').filter((name) => existsSync(join('packages', name, 'package.json')))
const faults = [...undocumented(), ...anyInDeclarations(), ...silentFiles()]
for (const fault of faults) console.error(fault)
process.exitCode = faults.length === 0 ? 0 : 1

function undocumented(): string[] {
  const config = ts.getParsedCommandLineOfConfigFile('tsconfig.check.json', undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
      throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n'))
    },
  })
  const program = ts.createProgram(indexes('src/index.ts'), config?.options ?? {})
  const checker = program.getTypeChecker()
  return indexes('src/index.ts').flatMap((index) => {
    const file = program.getSourceFile(index)
    const module = file && checker.getSymbolAtLocation(file)
    const exported = module ? checker.getExportsOfModule(module) : []
    return exported.flatMap((symbol) => {
      const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
      if (target.getDocumentationComment(checker).length > 0) return []
      return [`${place(target.declarations?.[0])}: the export ${symbol.name} has no TSDoc`]
    })
  })
}

function anyInDeclarations(): string[] {
  const roots = indexes('dist/index.d.ts')
  const program = ts.createProgram(roots, { module: ts.ModuleKind.NodeNext, skipLibCheck: true })
  const published = program.getSourceFiles().filter((file) => /\/packages\/[^/]+\/dist\//.test(resolve(file.fileName)))
  return published.flatMap((file) => {
    const found: string[] = []
    const visit = (node: ts.Node): void => {
      if (node.kind === ts.SyntaxKind.AnyKeyword) found.push(`${place(node)}: a published type holds any`)
      ts.forEachChild(node, visit)
    }
    visit(file)
    return found
  })
}

function silentFiles(): string[] {
  const sources = packages.flatMap((name) =>
    readdirSync(join('packages', name, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => join('packages', name, 'src', path)),
  )
  return sources
    .filter((path) => !readFileSync(path, 'utf8').startsWith('/**'))
    .map((path) => `${path}: does not open with why it exists (/** … */)`)
}

function indexes(path: string): string[] {
  return packages.map((name) => resolve('packages', name, path))
}

function place(node: ts.Node | undefined): string {
  if (!node) return 'packages'
  const file = node.getSourceFile()
  const { line } = file.getLineAndCharacterOfPosition(node.getStart())
  return `${relative('.', file.fileName)}:${line + 1}`
}
