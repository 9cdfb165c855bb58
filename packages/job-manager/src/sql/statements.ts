/**
 * The statements of the SQLite dialect, by name. Operations and queries name them, so another dialect is another table of the
 * same names. Ids and tokens are bound as hex digits. A write without RETURNING
 * answers one row, the key of what it inserted, when it changed something. A `?` stands for a parameter and nothing else.
 */
import { JOB_STATES } from '@muster/core'
import { ATTEMPT_COLUMNS, JOB_COLUMNS } from './rows.js'

const columns = (names: readonly string[], alias: string, hex: string): string =>
  names.map((name) => (name === hex ? `lower(hex(${alias}.${name}))` : `${alias}.${name}`)).join(', ')
const sets = (names: readonly string[]): string => names.map((name) => `${name} = ?`).join(', ')

/** A job's columns in the order of JobRow, of the table called `j`. */
export const JOB = columns(JOB_COLUMNS, 'j', 'id')
const ATTEMPT = columns(ATTEMPT_COLUMNS, 'a', 'token')
const EVENT = 'e.seq, e.attempt, e.action, e.actor, e.at, e.happened, e.data, lower(hex(j.id))'
const WAITING = 'json_group_array(json_array(lower(hex(w.id)), w.shape, w.priority, w.created, w.attempt))'
const [PENDING, QUEUED] = [JOB_STATES.indexOf('pending'), JOB_STATES.indexOf('queued')]

/** What an operation may change of a job, in the order of the parameters of `saveJob`. */
export const JOB_CHANGES =
  'state reason attempt failures unstarted conditions machine exit_code signal progress updated run_at started ended result'.split(
    ' ',
  )
/** What an operation may change of an attempt. */
export const ATTEMPT_CHANGES =
  'open tree started ended outcome exit_code signal unconfirmed collecting detail files'.split(' ')

/** All statements. */
export const statements = {
  recordId: `SELECT value FROM meta WHERE name = 'record'`,

  // ---- jobs
  /** id key worker state priority external shape queue owner labels created updated spec payload -> n */
  insertJob: `INSERT INTO job(id, key, worker, state, priority, external, shape, queue, owner, labels, created, updated, spec, payload)
    VALUES(unhex(?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  insertLabel: `INSERT INTO label(name, value, state, job) VALUES(?, ?, 0, ?)`,
  insertShape: `INSERT INTO shape(text) VALUES(?)`,
  shape: `SELECT n FROM shape WHERE text = ?`,
  jobById: `SELECT ${JOB} FROM job j WHERE j.id = unhex(?)`,
  jobByName: `SELECT ${JOB} FROM name x JOIN job j ON j.n = x.job WHERE x.name = ?`,
  jobByKey: `SELECT ${JOB} FROM job j WHERE j.key = ?`,
  insertName: `INSERT INTO name(name, job) VALUES(?, ?)`,
  /** changes…, n, expected state, expected attempt -> a row, nothing when somebody was first */
  saveJob: `UPDATE job SET ${sets(JOB_CHANGES)} WHERE n = ? AND state = ? AND attempt = ?`,
  /** progress updated n */
  saveProgress: `UPDATE job SET progress = ?, updated = ? WHERE n = ?`,
  saveLabels: `UPDATE label SET state = ? WHERE job = ?`,
  /** state worker change */
  count: `INSERT INTO counter(state, worker, n) VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n`,
  counters: `SELECT state, worker, n FROM counter WHERE n > 0 ORDER BY state, worker`,

  // ---- attempts
  /** job no token epoch open machine gpus placed */
  insertAttempt: `INSERT INTO attempt(job, no, token, epoch, open, machine, gpus, placed)
    VALUES(?, ?, unhex(?), ?, ?, ?, ?, ?)`,
  attempt: `SELECT ${ATTEMPT} FROM attempt a WHERE a.job = ? AND a.no = ?`,
  attempts: `SELECT ${ATTEMPT} FROM attempt a WHERE a.job = ? ORDER BY a.no DESC LIMIT 10000`,
  /** changes…, job, no */
  saveAttempt: `UPDATE attempt SET ${sets(ATTEMPT_CHANGES)} WHERE job = ? AND no = ?`,
  collecting: `SELECT count(*) FROM attempt WHERE job = ? AND collecting = 1 AND open = 1`,
  notGone: `SELECT no FROM attempt WHERE job = ? AND unconfirmed = 1 AND open = 1 LIMIT 1`,
  /** after job, after no, machine or '', job or 0, limit */
  live: `SELECT ${JOB}, ${ATTEMPT} FROM attempt a INDEXED BY attempt_open JOIN job j ON j.n = a.job
    WHERE a.open = 1 AND (a.job, a.no) > (?, ?) AND ? IN ('', a.machine) AND ? IN (0, a.job)
    ORDER BY a.job, a.no LIMIT ?`,

  // ---- events
  /** all events of a group, in order, as a JSON array of [job, attempt, action, actor, at, happened, data] */
  insertEvents: `INSERT INTO event(job, attempt, action, actor, at, happened, data)
    SELECT x.value ->> 0, x.value ->> 1, x.value ->> 2, x.value ->> 3, x.value ->> 4, x.value ->> 5, x.value ->> 6
    FROM json_each(?) x ORDER BY x.key`,
  /** one of these events */
  insertEvent: `INSERT INTO event(job, attempt, action, actor, at, happened, data) VALUES(?, ?, ?, ?, ?, ?, ?)`,
  lastMove: `SELECT action, actor FROM event WHERE job = ? AND action < ? ORDER BY seq DESC LIMIT 1`,
  lastSeq: `SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0)`,
  /** after seq, limit */
  eventsAfter: `SELECT ${EVENT} FROM event e JOIN job j ON j.n = e.job WHERE e.seq > ? ORDER BY e.seq LIMIT ?`,
  /** job, after seq, limit */
  eventsOfJob: `SELECT ${EVENT} FROM event e INDEXED BY event_job JOIN job j ON j.n = e.job
    WHERE e.job = ? AND e.seq > ? ORDER BY e.seq LIMIT ?`,

  // ---- scheduling
  /**
   * excluded shapes as a JSON array of texts, limit -> one JSON array of [id, shape, priority, created, attempt], and how many queues
   * are paused: where any is, the array is empty and `waitingBeside` is to be asked
   */
  waiting: `SELECT ${WAITING}, (SELECT count(*) FROM paused_queue) FROM (
    SELECT id, shape, priority, created, attempt FROM job INDEXED BY job_wait
    WHERE state = ${QUEUED} AND external = 0
      AND shape NOT IN (SELECT s.n FROM json_each(?) x JOIN shape s ON s.text = x.value)
    ORDER BY priority DESC, n LIMIT CASE WHEN EXISTS(SELECT 1 FROM paused_queue) THEN 0 ELSE ? END) w`,
  /**
   * The same but for paused queues: steps from queue to queue over the index and takes the first of each that is not paused, so that
   * what waits in paused ones is never read. Excluded shapes, limit, limit again.
   */
  waitingBeside: `WITH RECURSIVE line(queue) AS (
      SELECT min(queue) FROM job INDEXED BY job_line WHERE state = ${QUEUED} AND external = 0
      UNION ALL
      SELECT (SELECT min(queue) FROM job INDEXED BY job_line
        WHERE state = ${QUEUED} AND external = 0 AND queue > line.queue)
      FROM line WHERE line.queue IS NOT NULL),
    skipped(n) AS (SELECT s.n FROM json_each(?) x JOIN shape s ON s.text = x.value)
    SELECT ${WAITING} FROM (
      SELECT j.id, j.shape, j.priority, j.created, j.attempt FROM line l CROSS JOIN job j
      WHERE l.queue NOT IN (SELECT queue FROM paused_queue) AND j.n IN (
        SELECT n FROM job INDEXED BY job_line
        WHERE state = ${QUEUED} AND external = 0 AND queue = l.queue AND shape NOT IN (SELECT n FROM skipped)
        ORDER BY priority DESC, n LIMIT ?)
      ORDER BY j.priority DESC, j.n LIMIT ?) w`,
  /** JSON array of shape numbers */
  shapes: `SELECT s.n, s.text FROM json_each(?) x JOIN shape s ON s.n = x.value`,
  /** now, limit */
  due: `SELECT ${JOB} FROM job j INDEXED BY job_due WHERE j.state = ${PENDING} AND j.run_at <= ? ORDER BY j.run_at LIMIT ?`,
  nextDue: `SELECT run_at FROM job INDEXED BY job_due WHERE state = ${PENDING} AND run_at IS NOT NULL ORDER BY run_at LIMIT 1`,

  // ---- paused queues
  pausedQueues: `SELECT queue, by, at FROM paused_queue ORDER BY queue LIMIT 10000`,
  pausedCount: `SELECT count(*) FROM paused_queue`,
  pausedQueue: `SELECT by FROM paused_queue WHERE queue = ?`,
  /** queue by at: who was first stays */
  insertPause: `INSERT INTO paused_queue(queue, by, at) VALUES(?, ?, ?) ON CONFLICT DO NOTHING`,
  /** queue -> a row when it was paused */
  removePause: `DELETE FROM paused_queue WHERE queue = ? RETURNING 1`,
  /** queue paused actor at */
  insertQueueEvent: `INSERT INTO queue_event(queue, paused, actor, at) VALUES(?, ?, ?, ?)`,
  /** queue -> the last thousand, newest first */
  queueEvents: `SELECT seq, paused, actor, at FROM queue_event WHERE queue = ? ORDER BY seq DESC LIMIT 1000`,

  // ---- wishes
  /** job kind by reason at */
  insertWish: `INSERT INTO wish(job, kind, by, reason, at) VALUES(?, ?, ?, ?, ?)`,
  /** now, job -> by reason */
  wishDone: `UPDATE wish SET done = ? WHERE job = ? AND done IS NULL RETURNING by, reason`,
  wishes: `SELECT w.seq, lower(hex(j.id)), w.kind, w.by, w.reason, w.at FROM wish w INDEXED BY wish_open
    JOIN job j ON j.n = w.job WHERE w.done IS NULL ORDER BY w.seq LIMIT 10000`,

  // ---- machines
  /** Whoever the leader wrote down or a person drained; the last column: whether an attempt may still be there. */
  machines: `SELECT x.name, m.state, m.reason, m.probe, m.quarantined, m.updated, m.trouble, d.by, d.reason, d.at,
    EXISTS(SELECT 1 FROM attempt a INDEXED BY attempt_open WHERE a.open = 1 AND a.machine = x.name)
    FROM (SELECT name FROM machine UNION SELECT machine FROM drain) x
    LEFT JOIN machine m ON m.name = x.name LEFT JOIN drain d ON d.machine = x.name ORDER BY x.name LIMIT 10000`,
  machine: `SELECT quarantined, freed FROM machine WHERE name = ?`,
  /** name state reason probe quarantined freed trouble updated */
  saveMachine: `INSERT INTO machine(name, state, reason, probe, quarantined, freed, trouble, updated)
    VALUES(?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET state = excluded.state, reason = excluded.reason, probe = excluded.probe,
      quarantined = excluded.quarantined, freed = excluded.freed, trouble = excluded.trouble, updated = excluded.updated`,
  /** quarantined freed updated name */
  saveQuarantine: `UPDATE machine SET quarantined = ?, freed = ?, updated = ? WHERE name = ?`,
  drains: `SELECT machine, by, reason, at FROM drain ORDER BY machine LIMIT 10000`,
  drainCount: `SELECT count(*) FROM drain`,
  drain: `SELECT by, reason, at FROM drain WHERE machine = ?`,
  /** machine by reason at: the first one stays */
  insertDrain: `INSERT INTO drain(machine, by, reason, at) VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  /** machine -> a row when it was drained */
  removeDrain: `DELETE FROM drain WHERE machine = ? RETURNING 1`,

  // ---- the lease
  epoch: `SELECT epoch FROM lease WHERE one = 1 AND holder IS NOT NULL`,
  lease: `SELECT holder, epoch, beat, caretaker, host, pid, pid_start FROM lease WHERE one = 1`,
  /** holder caretaker host pid pid_start, seen epoch, seen beat -> epoch, nothing when it moved meanwhile */
  takeLease: `UPDATE lease SET holder = ?, epoch = epoch + 1, beat = 0, caretaker = ?, host = ?, pid = ?, pid_start = ?
    WHERE one = 1 AND epoch = ? AND beat = ? RETURNING epoch`,
  /** epoch -> beat */
  beat: `UPDATE lease SET beat = beat + 1 WHERE one = 1 AND epoch = ? AND holder IS NOT NULL RETURNING beat`,
  /** epoch */
  giveLease: `UPDATE lease SET holder = NULL WHERE one = 1 AND epoch = ? RETURNING epoch`,
} as const satisfies Record<string, string>

/** The name of a statement. */
export type StatementName = keyof typeof statements
