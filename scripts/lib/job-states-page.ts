/** docs/job-states.md, from the state table: the diagram, the table, and the words for why something ended. */
import {
  ATTEMPT_REASONS,
  DEFAULT_RETRY,
  JOB_REASONS,
  JOB_STATES,
  LAUNCH_FAILURES_MAX,
  RETRYABLE_REASONS,
  TERMINAL_STATES,
  TRANSITIONS,
  decideRetry,
  type AttemptReason,
} from '@muster/core'

/** The page. */
export function jobStatesPage(): string {
  return `# The states of a job

<!-- Generated from packages/core/src/job-state.ts by \`npm run docs\`. Do not edit. -->

A job is in one of ${JOB_STATES.length} states: ${JOB_STATES.map(code).join(', ')}.
What moves it stands in one table, from which the guards, the trigger in the record's SQL, the tests and this page derive.
Whatever is not in the table cannot happen.

\`\`\`mermaid
stateDiagram-v2
${arrows().join('\n')}
\`\`\`

| from | event | to | when |
| --- | --- | --- | --- |
${TRANSITIONS.map((row) => `| ${row.from.map((from) => from ?? '-').join(', ')} | ${code(row.event)} | ${row.to} | ${row.when} |`).join('\n')}

One write may walk several rows and stores one event for each: a job that nothing holds is inserted as queued, and a command
that ended before its start was seen goes from scheduled to completed.

## Why an attempt ended

An attempt ends \`succeeded\`, or for one of these reasons:

| reason | what follows |
| --- | --- |
${ATTEMPT_REASONS.map((reason) => `| ${code(reason)} | ${consequence(reason)} |`).join('\n')}

After a wish to cancel no other attempt follows: a command that had ended by itself is completed or failed, one that only lost
its machine or could not be started is cancelled. What is given up without the machine's word fails as \`machine-lost\`.

A job that failed without an attempt has one of the reasons ${JOB_REASONS.map(code).join(', ')}.
`
}

const code = (text: string): string => `\`${text}\``

/** The arrows of the diagram; events that share both ends share one arrow. */
function arrows(): string[] {
  const labels = new Map<string, string[]>()
  for (const { from, event, to } of TRANSITIONS)
    for (const start of from) {
      const arrow = `    ${start ?? '[*]'} --> ${to}`
      labels.set(arrow, [...(labels.get(arrow) ?? []), event])
    }
  const ends = TERMINAL_STATES.map((state) => `    ${state} --> [*]`)
  return [...[...labels].map(([arrow, events]) => `${arrow}: ${events.join(', ')}`), ...ends]
}

/** Asked of the rule itself, so that this page cannot differ from it. */
function consequence(reason: AttemptReason): string {
  const follows = (failures: number, max: number): boolean =>
    decideRetry(reason, failures, { ...DEFAULT_RETRY, max }, () => 0.5).retry
  if ((RETRYABLE_REASONS as readonly AttemptReason[]).includes(reason))
    return 'the job fails, unless a retry was asked for'
  if (reason === 'released') return 'the job is queued again at once'
  if (!follows(0, 0)) return 'no other attempt, whatever was asked for'
  return follows(LAUNCH_FAILURES_MAX, 0)
    ? 'another attempt, without limit, after a pause'
    : `another attempt after a pause; the job fails at failure ${LAUNCH_FAILURES_MAX}`
}
