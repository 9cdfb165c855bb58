/**
 * Migration 1: the record. Made for millions of rows: `n` is the age of a job and what everything else points to, the uuid is
 * stored once. The CHECK and the triggers on job.state are generated from core's table, so plain SQL cannot break it either.
 *
 * A released migration never changes (its hash is pinned by a test): whoever changes core's table freezes the text of the
 * trigger here and adds a migration that replaces it.
 */
import { JOB_STATES, nextState, statePairs, type JobState } from '@muster/core'

const number = (state: JobState): number => JOB_STATES.indexOf(state)
const size = JOB_STATES.length
const allowed = statePairs().map(([from, to]) => number(from) * size + number(to))
const refusals = JOB_STATES.flatMap((from) =>
  JOB_STATES.filter((to) => from !== to && !allowed.includes(number(from) * size + number(to))).map(
    (to) => `WHEN ${number(from) * size + number(to)} THEN RAISE(ABORT, 'ILLEGAL_TRANSITION ${from} -> ${to}')`,
  ),
)
const born = [nextState(null, 'submit'), nextState('pending', 'ready')].filter((state) => state !== undefined)

/** Times are epoch milliseconds, flags 0 or 1, structures JSON text (NULL where empty), ids and tokens 16 bytes. */
export const record = `
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE shape(n INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE job(
  n INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK(length(id) = 16),
  key TEXT,
  worker TEXT NOT NULL,
  state INTEGER NOT NULL CHECK(state BETWEEN 0 AND ${size - 1}),
  reason TEXT,
  attempt INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  unstarted INTEGER NOT NULL DEFAULT 0,
  priority INTEGER NOT NULL CHECK(priority BETWEEN 0 AND 9),
  external INTEGER NOT NULL DEFAULT 0,
  shape INTEGER NOT NULL,
  queue TEXT NOT NULL,
  owner TEXT NOT NULL,
  labels TEXT,
  conditions TEXT,
  machine TEXT,
  exit_code INTEGER,
  signal TEXT,
  progress TEXT,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  run_at INTEGER,
  started INTEGER,
  ended INTEGER,
  spec TEXT NOT NULL,
  payload TEXT NOT NULL,
  result TEXT
) STRICT;
CREATE UNIQUE INDEX job_key ON job(key) WHERE key IS NOT NULL;
CREATE INDEX job_wait ON job(priority DESC, n, shape) WHERE state = ${number('queued')} AND external = 0;
CREATE INDEX job_due ON job(run_at) WHERE state = ${number('pending')} AND run_at IS NOT NULL;
CREATE INDEX job_list ON job(state, worker);
CREATE INDEX job_machine ON job(machine) WHERE machine IS NOT NULL;

CREATE TRIGGER job_moves BEFORE UPDATE OF state ON job
WHEN OLD.state <> NEW.state AND OLD.state * ${size} + NEW.state NOT IN (${allowed.join(', ')})
BEGIN
  SELECT CASE OLD.state * ${size} + NEW.state ${refusals.join(' ')} ELSE RAISE(ABORT, 'ILLEGAL_TRANSITION unknown state') END;
END;
CREATE TRIGGER job_is_born BEFORE INSERT ON job
WHEN NEW.state NOT IN (${born.map(number).join(', ')})
BEGIN
  SELECT RAISE(ABORT, 'ILLEGAL_TRANSITION a job is born ${born.join(' or ')}');
END;
-- INSERT OR REPLACE would move a job past the trigger above.
CREATE TRIGGER job_is_unique BEFORE INSERT ON job
WHEN EXISTS(SELECT 1 FROM job WHERE id = NEW.id) OR EXISTS(SELECT 1 FROM job WHERE key = NEW.key AND key IS NOT NULL)
BEGIN
  SELECT RAISE(ABORT, 'JOB_EXISTS');
END;

CREATE TABLE attempt(
  job INTEGER NOT NULL,
  no INTEGER NOT NULL,
  token BLOB NOT NULL CHECK(length(token) = 16),
  epoch INTEGER NOT NULL,
  open INTEGER NOT NULL,
  machine TEXT NOT NULL,
  gpus TEXT,
  tree TEXT,
  placed INTEGER NOT NULL,
  started INTEGER,
  ended INTEGER,
  outcome TEXT,
  exit_code INTEGER,
  signal TEXT,
  unconfirmed INTEGER NOT NULL DEFAULT 0,
  collecting INTEGER NOT NULL DEFAULT 0,
  detail TEXT,
  files TEXT,
  PRIMARY KEY(job, no)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_open ON attempt(job) WHERE open = 1;

CREATE TABLE event(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  action INTEGER NOT NULL,
  actor TEXT NOT NULL,
  at INTEGER NOT NULL,
  happened INTEGER,
  data TEXT
) STRICT;
CREATE INDEX event_job ON event(job);
CREATE TRIGGER event_stays BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'EVENT_APPEND_ONLY'); END;
CREATE TRIGGER event_is_new BEFORE INSERT ON event WHEN EXISTS(SELECT 1 FROM event WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'EVENT_APPEND_ONLY'); END;
-- Only a prune deletes, and says so by this row while it does.
CREATE TRIGGER event_is_kept BEFORE DELETE ON event WHEN NOT EXISTS(SELECT 1 FROM meta WHERE name = 'pruning')
BEGIN SELECT RAISE(ABORT, 'EVENT_APPEND_ONLY'); END;

-- state: 0 while the job is not terminal, else its state; so that a rare end in a common label is found at once.
CREATE TABLE label(
  name TEXT NOT NULL, value TEXT NOT NULL, state INTEGER NOT NULL, job INTEGER NOT NULL,
  PRIMARY KEY(name, value, state, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX label_job ON label(job);

CREATE TABLE counter(
  state INTEGER NOT NULL, worker TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY(state, worker)
) STRICT, WITHOUT ROWID;

CREATE TABLE wish(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, kind TEXT NOT NULL,
  by TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL, done INTEGER
) STRICT;
CREATE INDEX wish_open ON wish(job) WHERE done IS NULL;

CREATE TABLE name(name TEXT PRIMARY KEY, job INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE machine(
  name TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT, probe TEXT NOT NULL,
  quarantined TEXT NOT NULL, freed TEXT NOT NULL, updated INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- holder NULL: nobody leads. The epoch grows at each takeover and never shrinks.
CREATE TABLE lease(
  one INTEGER PRIMARY KEY CHECK(one = 1), holder TEXT, epoch INTEGER NOT NULL, beat INTEGER NOT NULL,
  caretaker INTEGER NOT NULL, host TEXT, pid INTEGER, pid_start TEXT
) STRICT;
INSERT INTO lease(one, epoch, beat, caretaker) VALUES(1, 0, 0, 0);
`
