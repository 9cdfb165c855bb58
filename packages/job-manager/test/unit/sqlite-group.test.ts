/** A group on a real database: a full disk leaves nothing half-written, and the next group works once there is room. */
import { canonicalJson, jobSpec, systemIds } from '@muster/core'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { machineRecord } from '../../src/records.js'
import { shapeOf } from '../../src/shape.js'
import { migrate } from '../../src/sql/migrate.js'
import { MIGRATIONS } from '../../src/sql/migrations/index.js'
import type { SqlValue } from '../../src/sql/rows.js'
import { Connection } from '../../src/sql/sqlite-connection.js'
import { fileIdentity } from '../../src/sql/sqlite-files.js'
import { runGroup } from '../../src/sql/sqlite-group.js'
import { statements } from '../../src/sql/statements.js'

function record(migrations = MIGRATIONS): Connection {
  const directory = mkdtempSync(join(tmpdir(), 'muster-test-'))
  const file = join(directory, 'jobs.db')
  writeFileSync(file, '')
  const db = new Connection(file, 'write', fileIdentity(file))
  onTestFinished(() => {
    db.close()
    rmSync(directory, { recursive: true })
  })
  migrate(db, migrations)
  return db
}

function submit(labels: string | null = null, filler = ''): SqlValue[] {
  const spec = jobSpec({ worker: 'command', input: { filler } })
  const args = [systemIds.token(), null, 'command', 5, 0, shapeOf(spec), spec.queue, 'ada', labels]
  args.push(canonicalJson(spec), 'null', 'user:ada', '')
  return ['insert', args.length, ...args]
}

const counts = (db: Connection): readonly unknown[] =>
  ['job', 'event', 'shape'].map((table) => db.read(`SELECT count(*) FROM ${table}`, [])[0]?.[0])

it('12 a full disk refuses with STORE_FULL what does not fit, leaves nothing of it, and works again once there is room', () => {
  const db = record()
  runGroup(db, submit())
  db.script(`PRAGMA max_page_count = ${Number(db.read('PRAGMA page_count', [])[0]?.[0]) + 5}`)
  const group = Array.from({ length: 20 }, () => submit(null, 'x'.repeat(10_000)))
  const { answers } = runGroup(db, group.flat())
  const refused = answers.flatMap((answer, index) => (typeof answer === 'number' ? [] : [{ answer, index }]))
  expect(refused.length).toBeGreaterThan(10)
  for (const { answer } of refused) expect(answer).toMatchObject({ error: { code: 'STORE_FULL', retryable: true } })
  expect(db.inTransaction).toBe(false)
  const accepted = 1 + 20 - refused.length
  expect(counts(db)).toEqual([accepted, 2 * accepted, 1])
  db.script('PRAGMA max_page_count = 1000000')
  const again = runGroup(
    db,
    refused.flatMap(({ index }) => group[index] ?? []),
  )
  expect(again.answers.every((answer) => typeof answer === 'number')).toBe(true)
  expect(counts(db)).toEqual([21, 42, 1])
})

it('an operation that fails after it wrote is undone alone, and the counters agree', () => {
  const db = record()
  const poison = submit('{"a":"x\\u0000y"}')
  const { answers } = runGroup(db, [...submit(), ...poison, ...submit(), ...poison, ...submit('{"a":"b"}')])
  expect(answers.map((answer) => typeof answer)).toEqual(['number', 'object', 'number', 'object', 'number'])
  expect(answers[1]).toMatchObject({ error: { code: 'INVALID_ARGUMENT' } })
  expect(counts(db).slice(0, 2)).toEqual([3, 6])
  expect(db.read('SELECT n FROM counter', [])).toEqual([[3]])
})

it('migrating twice changes nothing, and a released migration never changes', () => {
  const db = record()
  migrate(db)
  expect(db.read('SELECT count(*) FROM migration', [])).toEqual([[MIGRATIONS.length]])
  const released = ['195272d32035c54e', '1f23212200fa9f67', '8dadb7d989a02789']
  expect(MIGRATIONS.map(({ hash }) => hash.slice(0, 16))).toEqual(released)
})

it('a record of the first schema keeps its machines, and can drain them afterwards', () => {
  const db = record(MIGRATIONS.slice(0, 1))
  const machine = `INSERT INTO machine(name, state, reason, probe, quarantined, freed, updated)
    VALUES('gpu1', 'suspect', 'old', '{"cpus":8}', '{}', '{}', 7)`
  db.call(machine, [])
  migrate(db)
  runGroup(db, ['drain', 3, 'gpu1', 'user:ada', 'new disk'])
  const [row] = db.read(statements.machines, [])
  expect(machineRecord(row ?? [])).toMatchObject({
    name: 'gpu1',
    state: 'drained',
    reason: 'old',
    probe: { cpus: 8 },
    trouble: null,
    drain: { by: 'user:ada', reason: 'new disk' },
    updatedAt: 7,
  })
})

it('what waits in a paused queue is stepped over, however much it is: the page of the others reads them by their queue', () => {
  const db = record()
  const plan = (statement: string, ...params: SqlValue[]): string =>
    db
      .read(`EXPLAIN QUERY PLAN ${statement}`, params)
      .map(([, , , text]) => String(text))
      .join('; ')
  const beside = plan(statements.waitingBeside, '[]', 256, 256)
  expect(beside).toContain('SEARCH job USING COVERING INDEX job_line (queue=?)')
  expect(beside).toContain('SEARCH job USING COVERING INDEX job_line (queue>?)')
  expect(beside).not.toMatch(/SCAN j\b|USE TEMP B-TREE FOR ORDER BY.*SCAN job\b/)
  expect(plan(statements.waiting, '[]', 256)).toMatch(/SCAN job USING (COVERING )?INDEX job_wait/)
})
