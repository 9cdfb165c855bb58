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
const clockMembers = [
  { object: 'Date', property: 'now', message: 'Time is injected: use the Clock of @muster/core.' },
  { object: 'Math', property: 'random', message: 'Randomness is injected.' },
]
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
      // A method without await may still have to be async to keep its contract: reject, never throw.
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    files: ['packages/*/src/**/*.ts'],
    ignores: ['packages/core/src/clock.ts', 'packages/testing/src/**'],
    rules: {
      'no-restricted-globals': ['error', ...clockOnly],
      'no-restricted-properties': [
        'error',
        ...clockMembers,
        { object: 'process', property: 'exit', message: 'A library never ends its host process.' },
      ],
    },
  },
  // The command is a process of its own: the third Ctrl-C leaves at once.
  { files: ['packages/cli/src/**/*.ts'], rules: { 'no-restricted-properties': ['error', ...clockMembers] } },
  {
    files: ['**/*.test.ts', 'packages/testing/src/**'],
    rules: {
      'no-restricted-properties': ['error', ...noMocks],
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['**/*.{js,cjs,mjs}'],
    extends: [tseslint.configs.disableTypeChecked],
    rules: { '@typescript-eslint/explicit-module-boundary-types': 'off' },
  },
)
