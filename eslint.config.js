/**
 * Lint: what types alone do not catch. Type-aware over one program of all sources (tsconfig.check.json), so a promise that
 * another package returns counts as a promise here. Layout is prettier's business, import rules are dependency-cruiser's.
 */
import { defineConfig } from 'eslint/config'
import tseslint from 'typescript-eslint'

const noUnknownCast = {
  selector: 'TSAsExpression > TSAsExpression[typeAnnotation.type="TSUnknownKeyword"]',
  message: 'Two casts in a row hide a type error.',
}
const clockOnly = ['setTimeout', 'setInterval', 'setImmediate'].map((name) => ({
  name,
  message: 'Time is injected: use the Clock of @muster/core.',
}))
const injected = [
  ['Date', 'now', 'Time is injected: use the Clock of @muster/core.'],
  ['Math', 'random', 'Randomness is injected.'],
].map(([object, property, message]) => ({
  selector: `CallExpression[callee.object.name="${object}"][callee.property.name="${property}"]`,
  message,
}))
const noMocks = ['mock', 'doMock', 'spyOn', 'stubGlobal', 'useFakeTimers'].map((property) => ({
  object: 'vi',
  property,
  message: 'Tests meet the real thing: inject what must be controlled.',
}))

export default defineConfig(
  { ignores: ['**/dist/', '**/out/', '**/node_modules/', '.nx/', 'coverage/', '.cache/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { project: './tsconfig.check.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      'max-lines': ['error', { max: 300 }],
      'no-empty': ['error', { allowEmptyCatch: false }],
      'no-warning-comments': [
        'error',
        { terms: ['todo', 'fixme', 'xxx', 'for now', 'placeholder'], location: 'anywhere' },
      ],
      'no-restricted-syntax': ['error', noUnknownCast],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      '@typescript-eslint/no-floating-promises': ['error', { checkThenables: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // `return reject(error)` leaves early and says why; its value is nobody's business.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-misused-spread': ['error', { allow: ['string'] }],
      // What changes while one awaits (signal.aborted, say) looks constant to the compiler.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // Most objects here are closures, whose methods may be taken out of them.
      '@typescript-eslint/unbound-method': 'off',
      // A method without await may still have to be async to keep its contract: reject, never throw.
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    files: ['packages/*/src/**/*.ts'],
    // The clock is the seam itself; the SQL driver is the store, whose own time stamps the record; suites measure.
    ignores: ['packages/core/src/clock.ts', 'packages/job-manager/src/sql/**', 'packages/testing/src/**'],
    rules: {
      'no-restricted-globals': ['error', ...clockOnly],
      'no-restricted-syntax': ['error', noUnknownCast, ...injected],
    },
  },
  {
    // The command is a process of its own: its third Ctrl-C leaves at once.
    files: ['packages/*/src/**/*.ts'],
    ignores: ['packages/cli/src/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'exit', message: 'A library never ends its host process.' },
      ],
    },
  },
  {
    files: ['**/*.test.ts', 'packages/testing/src/**'],
    rules: {
      'no-restricted-properties': ['error', ...noMocks],
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['**/test/**', 'tests/**', 'bench/**'],
    rules: { '@typescript-eslint/explicit-module-boundary-types': 'off' },
  },
  {
    files: ['**/*.{js,cjs,mjs}'],
    extends: [tseslint.configs.disableTypeChecked],
    rules: { '@typescript-eslint/explicit-module-boundary-types': 'off' },
  },
)
