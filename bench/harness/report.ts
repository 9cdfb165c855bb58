/** What a bench says when it is done: a table for people, or one line of JSON for programs. */
import { execFileSync } from 'node:child_process'
import { arch, cpus, loadavg, release, totalmem, type } from 'node:os'
import type { Measured } from './result.js'

/** The results as one JSON value; the ratios of the single rounds stand in the environment. */
export function asJson(results: readonly Measured[], environment: Readonly<Record<string, unknown>>): string {
  const rounds = Object.fromEntries(results.filter((one) => one.ratios.length > 0).map((one) => [one.name, one.ratios]))
  return JSON.stringify({
    results: results.map(({ name, unit, ours, peer, theirs, ratio, bar, met }) => ({
      ...{ name, unit, ours, peer, theirs, ratio, bar, met },
    })),
    environment: { ...environment, ratiosOfRounds: rounds },
  })
}

/** The results as a table with one line each, and below it the facts that they belong to. */
export function asTable(results: readonly Measured[], facts: Readonly<Record<string, unknown>> = {}): string {
  const head = ['', 'measure', 'ours', 'theirs', 'ratio (range)', 'bar']
  const rows = [head, ...results.map(cells)]
  const widths = head.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  const table = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  const below = Object.entries(facts).map(([fact, value]) => `${fact}: ${JSON.stringify(value)}`)
  return [...table, ...below].join('\n')
}

function cells(one: Measured): string[] {
  const { ratio, ratios, peer, theirs, bar, sense } = one
  return [
    one.met ? 'ok' : 'MISSED',
    one.name,
    `${figure(one.ours)} ${one.unit}`,
    theirs === null ? '' : `${figure(theirs)} ${one.unit} (${peer ?? ''})`,
    ratio === null ? '' : `${figure(ratio)} x (${figure(Math.min(...ratios))} to ${figure(Math.max(...ratios))})`,
    bar === null ? 'printed only' : `${sense ?? ''} ${bar} ${ratio === null ? one.unit : 'x'}`,
  ]
}

/** Three digits that mean something. */
function figure(value: number): string {
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))
}

/** The machine and the tree that the figures belong to. */
export function environment(): Readonly<Record<string, unknown>> {
  return {
    commit: execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim(),
    node: process.version,
    os: `${type()} ${release()}`,
    arch: arch(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    memoryBytes: totalmem(),
    load: loadavg(),
    at: new Date().toISOString(),
  }
}
