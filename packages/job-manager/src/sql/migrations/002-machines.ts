/**
 * Migration 2: machines that are taken out of use, and what is wrong with one that does not answer. A drain is a row of its own,
 * so that a person's decision survives every leader's write and may come before anybody has reached the machine.
 *
 * A released migration never changes (its hash is pinned by a test).
 */

/** Times are epoch milliseconds; `trouble` is JSON text, NULL while the machine answers. */
export const machines = `
CREATE TABLE drain(
  machine TEXT PRIMARY KEY, by TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE machine ADD COLUMN trouble TEXT;
`
