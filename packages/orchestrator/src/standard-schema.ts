/**
 * Schemas of any library: the Standard Schema interface, version 1 (standardschema.dev), which zod, valibot and arktype offer. Types and
 * one function, so that no library is needed. Invariant: a value that `check` gives was accepted by the schema, and a refusal
 * names where it does not fit.
 */

/** A validator that speaks Standard Schema v1. */
export interface StandardSchema<In = unknown, Out = In> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>
    readonly types?: { readonly input: In; readonly output: Out } | undefined
  }
}

/** What a validator answers. */
export type SchemaResult<Out> =
  { readonly value: Out; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }

/** One complaint of a validator. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** A value that fits, or the text of what does not. */
export type Checked<Out> = { readonly value: Out; readonly refusal?: undefined } | { readonly refusal: string }

const MOST_ISSUES = 3

/** Validates; a promise only where the schema itself answers with one. `what` is the name of the value in a refusal. */
export function check<Out>(
  schema: StandardSchema<unknown, Out>,
  value: unknown,
  what: string,
): Checked<Out> | Promise<Checked<Out>> {
  const result = schema['~standard'].validate(value)
  return result instanceof Promise ? result.then((late) => judge(late, what)) : judge(result, what)
}

function judge<Out>(result: SchemaResult<Out>, what: string): Checked<Out> {
  if (result.issues === undefined) return result
  const issues = result.issues.slice(0, MOST_ISSUES).map((issue) => `${place(what, issue)}: ${issue.message}`)
  return { refusal: issues.join('; ') || `${what}: refused` }
}

function place(what: string, { path = [] }: SchemaIssue): string {
  return [what, ...path.map((step) => String(typeof step === 'object' ? step.key : step))].join('.')
}
