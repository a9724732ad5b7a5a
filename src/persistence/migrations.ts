/**
 * The layout of the database file and the way from each version of it to the next.
 *
 * `PRAGMA user_version` holds the version: the number of migrations that ran. A migration, once released,
 * never changes; a new layout is a new entry at the end.
 */
import { indexKeyOf, keyToBytes } from "../values/index_key.ts";
import { parseDocument } from "../values/value.ts";
import { PersistenceError } from "./persistence_error.ts";
import type { Database } from "./sqlite.ts";

const migrations: readonly ((database: Database) => void)[] = [
  /**
   * documents        the newest revision of each document; `row` is what index entries point to
   * index_entries    every key of every index, in one tree; `key` orders like the values it encodes
   * state            one row: the newest commit and the version of the catalog
   * catalog          one row: tables, indexes and schemas as JSON, read only when the version has changed
   * decided          by isolate: its newest committed transaction (`Snapshot.decidedSequence`)
   * records          named JSON texts of the server
   * session_requests results of mutations by client request; the commit timestamp orders them by age
   * dropped_indexes  indexes that are gone from the catalog and whose entries are still to be deleted
   */
  (database) =>
    database.exec(`
      CREATE TABLE documents (
        row INTEGER PRIMARY KEY,
        json TEXT NOT NULL
      ) STRICT;
      CREATE TABLE index_entries (
        index_id INTEGER NOT NULL,
        key BLOB NOT NULL,
        row INTEGER NOT NULL,
        PRIMARY KEY (index_id, key)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE state (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        timestamp INTEGER NOT NULL,
        catalog_version INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE catalog (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        json TEXT NOT NULL,
        next_index_ordinal INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE decided (
        isolate INTEGER PRIMARY KEY,
        sequence INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE records (
        key TEXT PRIMARY KEY,
        json TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE session_requests (
        timestamp INTEGER PRIMARY KEY,
        session_id TEXT NOT NULL,
        request_id INTEGER NOT NULL,
        result TEXT NOT NULL,
        log_lines TEXT NOT NULL,
        UNIQUE (session_id, request_id)
      ) STRICT;
      CREATE TABLE dropped_indexes (
        index_id INTEGER PRIMARY KEY
      ) STRICT;
      INSERT INTO state VALUES (1, 0, 1);
      INSERT INTO catalog VALUES (1, json_object(
        'version', 1, 'structureVersion', 1, 'tables', json_array(), 'indexes', json_array(),
        'activeSchema', NULL, 'pendingSchema', NULL), 100);
    `),

  /** Indexes have kinds. The table's name is needed: `json_each` has a hidden column `json` of its own. */
  (database) =>
    database.exec(`
      UPDATE catalog SET json = json_set(json, '$.indexes', (
        SELECT json_group_array(json_set(value, '$.kind', 'database'))
        FROM json_each(catalog.json, '$.indexes')));
      UPDATE catalog SET json = json_set(json, '$.version', json->'$.version' + 1);
      UPDATE state SET catalog_version = catalog_version + 1;
    `),

  /**
   * vectors          entries of vector indexes; `row` is the document's, `filters` and `vector` (32-bit floats,
   *                  little endian) are what src/database/vector_entry.ts makes of it
   */
  (database) =>
    database.exec(`
      CREATE TABLE vectors (
        entry INTEGER PRIMARY KEY,
        index_id INTEGER NOT NULL,
        row INTEGER NOT NULL,
        document_id TEXT NOT NULL,
        filters BLOB NOT NULL,
        vector BLOB NOT NULL,
        UNIQUE (index_id, row)
      ) STRICT;
    `),

  /**
   * search_entries      what full-text indexes hold; `entry` is the row of the document's tokens
   * search_statistics   sums over the entries of each index
   * search_tokens       the tokens, see full_text.ts; the other two are views that FTS5 gives of it
   */
  (database) =>
    database.exec(`
      CREATE TABLE search_entries (
        entry INTEGER PRIMARY KEY,
        index_id INTEGER NOT NULL,
        row INTEGER NOT NULL,
        id TEXT NOT NULL,
        creation_time REAL NOT NULL,
        length INTEGER NOT NULL,
        UNIQUE (index_id, row)
      ) STRICT;
      CREATE TABLE search_statistics (
        index_id INTEGER PRIMARY KEY,
        documents INTEGER NOT NULL,
        tokens INTEGER NOT NULL
      ) STRICT;
      CREATE VIRTUAL TABLE search_tokens USING fts5(
        "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
        content = '', contentless_delete = 1, detail = column, tokenize = 'ascii');
      CREATE VIRTUAL TABLE search_terms USING fts5vocab(search_tokens, row);
      CREATE VIRTUAL TABLE search_occurrences USING fts5vocab(search_tokens, instance);
    `),

  /**
   * What has changed of late, for reads at an older timestamp (history_writer.ts); `change` grows with the commits.
   *
   * history_revisions    texts that documents had until the commit at `timestamp`
   * history_entries      index keys that this commit removed (`existed` = 1) or added to a document that was there
   * history_rows         the last row of `documents` that was taken by commits up to `timestamp`
   * state.history_start  no timestamp before it can be read
   */
  (database) =>
    database.exec(`
      CREATE TABLE history_revisions (
        change INTEGER PRIMARY KEY,
        timestamp INTEGER NOT NULL,
        row INTEGER NOT NULL,
        json TEXT NOT NULL
      ) STRICT;
      CREATE INDEX history_revisions_by_row ON history_revisions (row, timestamp);
      CREATE TABLE history_entries (
        change INTEGER PRIMARY KEY,
        timestamp INTEGER NOT NULL,
        index_id INTEGER NOT NULL,
        key BLOB NOT NULL,
        row INTEGER NOT NULL,
        existed INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX history_entries_by_key ON history_entries (index_id, key, timestamp, existed, row);
      CREATE TABLE history_rows (
        timestamp INTEGER PRIMARY KEY,
        last_row INTEGER NOT NULL
      ) STRICT;
      ALTER TABLE state ADD COLUMN history_start INTEGER NOT NULL DEFAULT 0;
      UPDATE state SET history_start = timestamp;
      INSERT INTO history_rows SELECT timestamp, (SELECT ifnull(max(row), 0) FROM documents) FROM state;
    `),

  /** Jobs that ended are found by when they did: an index of `_scheduled_functions` (table 539) by `completedTime`. */
  (database) => {
    const jobs = database.prepare(`
      SELECT row, json FROM index_entries CROSS JOIN documents USING (row) WHERE index_id = 539 * 4`);
    const byCompletedTime = { name: "by_completed_time", fields: ["completedTime"] };
    const addEntry = database.prepare("INSERT INTO index_entries VALUES (10, ?, ?)");
    for (const [row, json] of jobs.rows() as [number, string][]) {
      const key = indexKeyOf(byCompletedTime, parseDocument(json));
      addEntry.run(keyToBytes(key), row);
    }
  },
];

export const layoutVersion = migrations.length;

/** Says in the file's header whose database it is ("Hull" in ASCII). */
const applicationId = 0x48756c6c;

/**
 * Brings the layout up to date, in one transaction.
 * @throws PersistenceError when the file was written by a newer Hull or by another program.
 */
export function migrate(database: Database): void {
  database.transaction(() => {
    const version = mustGetLayout(database);
    for (const migration of migrations.slice(version)) migration(database);
    if (version < layoutVersion) {
      database.exec(`PRAGMA user_version = ${layoutVersion}`);
      database.exec(`PRAGMA application_id = ${applicationId}`);
    }
  });
}

/**
 * The version of a database's layout; 0 for one that is empty.
 * @throws PersistenceError when the file was written by a newer Hull or by another program.
 */
export function mustGetLayout(database: Database): number {
  const version = database.prepare("PRAGMA user_version").value() as number;
  const owner = database.prepare("PRAGMA application_id").value();
  const empty = database.prepare("SELECT count(*) FROM sqlite_schema").value() === 0;
  if (owner !== applicationId && !empty) {
    throw new PersistenceError(
      "NotADatabase",
      `${database.path} was not made by Hull. Choose another data folder, or move the file away.`,
    );
  }
  if (version > layoutVersion) {
    throw new PersistenceError(
      "TooNew",
      `${database.path} was written by a newer version of Hull (layout ${version}; this version reads ` +
        `up to ${layoutVersion}). Run that version again, or restore a backup made before the upgrade.`,
    );
  }
  return version;
}
