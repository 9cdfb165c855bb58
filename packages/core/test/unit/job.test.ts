/** The job spec: complete and strict. */
import { describe, expect, it } from 'vitest'
import { isMusterError } from '../../src/errors.js'
import { jobDefinition, jobSpec, type JobDefinitionInput, type SubmitOptions } from '../../src/job.js'

const definition: JobDefinitionInput = { worker: 'command', input: { run: ['true'] } }

describe('jobSpec', () => {
  it('fills in every default', () => {
    expect(jobSpec(definition)).toEqual({
      worker: 'command',
      input: { run: ['true'] },
      secrets: {},
      queue: 'jobs.command',
      labels: {},
      priority: 5,
      resources: { cpus: 1, memoryBytes: 0, gpus: 0 },
      machineLabels: {},
      graceMs: 10_000,
      retry: { max: 0, on: ['exit', 'signal', 'oom', 'timeout', 'no-progress', 'setup-failed'] },
      onLost: 'wait',
    })
  })

  it('reads durations and sizes as people write them', () => {
    const spec = jobSpec(definition, {
      timeout: '4h',
      grace: '1s',
      memory: '8GiB',
      onLost: { replaceAfter: '10m' },
      retries: 3,
    })
    expect(spec).toMatchObject({
      timeoutMs: 14_400_000,
      graceMs: 1_000,
      resources: { memoryBytes: 8 * 2 ** 30 },
      onLost: { replaceAfterMs: 600_000 },
      retry: { max: 3 },
    })
  })

  it('does not tell two ways to write the same request apart', () => {
    expect(jobSpec(definition, { timeout: '60m' })).toEqual(jobSpec(definition, { timeout: '1h' }))
  })

  it.each<[string, unknown, RegExp]>([
    ['an unknown option', { priorty: 3 }, /priorty/],
    ['a priority out of range', { priority: 10 }, /^options\.priority/],
    ['a duration that is none', { timeout: 'soon' }, /timeout: expected a duration/],
    ['a size that is none', { memory: 'lots' }, /memory: expected a size/],
    ['a label over two lines', { labels: { 'a\nb': '1' } }, /^options\.labels/],
    ['a machine with a control character', { machine: 'gpu\u0000' }, /^options\.machine/],
    ['an unknown reason', { retry: { max: 1, on: ['bad luck'] } }, /^options\.retry\.on/],
    ['both ways to ask for retries', { retries: 1, retry: { max: 1 } }, /retries or retry/],
    ['a fraction of a GPU', { gpus: 0.5 }, /^options\.gpus/],
  ])('refuses %s, naming the field', (_, options, message) => {
    expect(refusal(definition, options)).toMatch(message)
  })

  it.each<[string, unknown, RegExp]>([
    ['an unknown member', { ...definition, wroker: 'x' }, /wroker/],
    ['no worker', { input: 1 }, /^job\.worker/],
    ['an input that is no JSON', { worker: 'x', input: () => 1 }, /^job\.input/],
    ['a secret for a variable of muster', { ...definition, secrets: { MUSTER_RESULT: { env: 'X' } } }, /^job\.secrets/],
    ['a secret for a variable of git', { ...definition, secrets: { GIT_DIR: { env: 'X' } } }, /^job\.secrets/],
    [
      "a secret's value instead of a reference",
      { ...definition, secrets: { TOKEN: 'hunter2' } },
      /^job\.secrets\.TOKEN/,
    ],
  ])('refuses a definition with %s', (_, wrong, message) => {
    expect(refusal(wrong, {})).toMatch(message)
  })

  it("P7: a refusal never repeats a secret's value", () => {
    const wrong = { ...definition, secrets: { TOKEN: 'hunter2' } }
    expect(refusal(wrong, {})).not.toContain('hunter2')
  })
})

/** What untyped callers meet: the message of the typed refusal. */
function refusal(job: unknown, options: unknown): string {
  try {
    jobSpec(job as JobDefinitionInput, options as SubmitOptions)
  } catch (error) {
    if (isMusterError(error, 'INVALID_ARGUMENT')) return `${error.message} ${JSON.stringify(error.details)}`
    throw error
  }
  return 'accepted'
}

it('refuses a name that would vanish, and a value without an end', () => {
  const labels = JSON.parse('{"__proto__":"x"}') as Record<string, string>
  expect(() => jobSpec({ worker: 'w', input: null }, { labels })).toThrow('options.labels: __proto__ cannot be a name')
  const round: Record<string, unknown> = {}
  round['self'] = round
  expect(() => jobSpec({ worker: 'w', input: round })).toThrow(/nested too deeply/)
})

describe('jobDefinition', () => {
  it('is a frozen copy: what its writer changes afterwards changes no job', () => {
    const input = { run: ['true'] }
    const made = jobDefinition({ worker: 'command', input })
    input.run.push('--verbose')
    expect(jobSpec(made).input).toEqual({ run: ['true'] })
    expect(() => (made.input as typeof input).run.push('x')).toThrow(TypeError)
  })

  it('is not taken at its word when somebody took it apart and changed it', () => {
    const made = jobDefinition({ worker: 'command', input: null })
    expect(refusal({ ...made, worker: '' }, {})).toMatch(/^job\.worker/)
  })

  it('refuses a wrong secret where it is written, not first at the submit', () => {
    expect(() => jobDefinition({ worker: 'w', input: null, secrets: { 'not a name': { env: 'X' } } })).toThrow(
      /^job\.secrets/,
    )
  })
})
