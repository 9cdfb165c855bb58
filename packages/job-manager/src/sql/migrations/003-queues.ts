/**
 * Migration 3: queues of jobs that are paused, by whom, and who paused and resumed them before. The flag is the record's own, so it
 * outlives every broker; its history is append-only as that of a job. The index lets a scheduler step over the jobs of a paused queue
 * instead of reading past them, however many they are.
 *
 * A released migration never changes (its hash is pinned by a test).
 */
import { JOB_STATES } from '@muster/core'

/** Times are epoch milliseconds; `paused` is 0 or 1. */
export const queues = `
CREATE TABLE paused_queue(
  queue TEXT PRIMARY KEY, by TEXT NOT NULL, at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE queue_event(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  queue TEXT NOT NULL, paused INTEGER NOT NULL CHECK(paused IN (0, 1)), actor TEXT NOT NULL, at INTEGER NOT NULL
) STRICT;
CREATE INDEX queue_event_queue ON queue_event(queue);
CREATE TRIGGER queue_event_stays BEFORE UPDATE ON queue_event
BEGIN SELECT RAISE(ABORT, 'EVENT_APPEND_ONLY'); END;
CREATE TRIGGER queue_event_is_new BEFORE INSERT ON queue_event WHEN EXISTS(SELECT 1 FROM queue_event WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'EVENT_APPEND_ONLY'); END;
CREATE TRIGGER queue_event_is_kept BEFORE DELETE ON queue_event
BEGIN SELECT RAISE(ABORT, 'EVENT_APPEND_ONLY'); END;

CREATE INDEX job_line ON job(queue, priority DESC, n, shape) WHERE state = ${JOB_STATES.indexOf('queued')} AND external = 0;
`
