/**
 * The database as it was at an older timestamp: the newest snapshot with what has happened since then taken back
 * (history_writer.ts says what is kept for that). It costs what the same read of the newest state costs, plus what
 * has changed since in the intervals that are read. A search looks at all that has changed since, and keeps what is
 * of its table.
 */
import type { Catalog, IndexId, SearchIndex, TableNumber } from "../database/catalog.ts";
import { LayeredSnapshot } from "../database/layered_snapshot.ts";
import type { KeyInterval } from "../database/read_set.ts";
import { Corpus } from "../database/search/corpus.ts";
import type {
  RankRequest,
  SearchHit,
  SearchSnapshot,
  SearchStatistics,
  TermCount,
} from "../database/search/search_snapshot.ts";
import type { Order, Snapshot, StoredDocument } from "../database/snapshot.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { WriteLayer } from "../database/write_layer.ts";
import { mustIdTableNumber } from "../values/document_id.ts";
import {
  afterPrefix,
  type IndexKey,
  keySuccessor,
  keyToBytes,
  lowestKey,
} from "../values/index_key.ts";
import { parseDocument } from "../values/value.ts";
import type { Database } from "./sqlite.ts";

const afterAllKeys = afterPrefix(lowestKey);

type Statements = ReturnType<typeof prepareStatements>;

/** Opens older snapshots on a connection. */
export class PastSnapshots {
  readonly #database: Database;
  /** Most isolates never need them. */
  #statements: Statements | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * The state at `timestamp`, inside the read transaction of `newest`, which is later and which closing the result
   * closes; undefined when that state is not kept any more.
   */
  open(newest: Snapshot, timestamp: Timestamp): Snapshot | undefined {
    const statements = this.#statements ??= prepareStatements(this.#database);
    if (timestamp < (statements.start.value() as Timestamp)) return undefined;
    const lastRow = statements.lastRow.value(timestamp) as number;
    return new PastSnapshot(statements, newest, timestamp, lastRow);
  }
}

class PastSnapshot implements Snapshot {
  readonly catalog: Catalog;
  readonly decidedSequence: number;
  readonly search: SearchSnapshot;
  readonly #statements: Statements;
  readonly #newest: Snapshot;
  /** Documents in later rows are newer. */
  readonly #lastRow: number;

  constructor(
    statements: Statements,
    newest: Snapshot,
    readonly timestamp: Timestamp,
    lastRow: number,
  ) {
    this.catalog = newest.catalog;
    this.decidedSequence = newest.decidedSequence;
    this.search = new PastSearch(
      newest,
      (table) => undoLayer(statements, table, timestamp, lastRow),
    );
    this.#statements = statements;
    this.#newest = newest;
    this.#lastRow = lastRow;
  }

  get(index: IndexId, key: IndexKey): StoredDocument | undefined {
    return this.scan(index, { lower: key, upper: keySuccessor(key) }, "asc", 1)[0];
  }

  scan(index: IndexId, interval: KeyInterval, order: Order, limit: number): StoredDocument[] {
    return this.#statements.scan[order].rows(...this.#parameters(index, interval), limit)
      .map(([row, json]) => ({ row: row as number, json: json as string }));
  }

  count(index: IndexId, interval: KeyInterval): number {
    return this.#statements.count.value(...this.#parameters(index, interval)) as number;
  }

  #parameters(index: IndexId, { lower, upper }: KeyInterval) {
    const bounds = [keyToBytes(lower), keyToBytes(upper ?? afterAllKeys)] as const;
    return [index, ...bounds, this.timestamp, this.#lastRow] as const;
  }

  close(): void {
    this.#newest.close();
  }
}

/** Ranks as if what has changed since were undone by a transaction: see corpus.ts. */
class PastSearch implements SearchSnapshot {
  readonly #newest: Snapshot;
  readonly #undo: (table: TableNumber) => WriteLayer;
  readonly #corpora = new Map<IndexId, Corpus>();

  constructor(newest: Snapshot, undo: (table: TableNumber) => WriteLayer) {
    this.#newest = newest;
    this.#undo = undo;
  }

  statistics(index: SearchIndex): SearchStatistics {
    return this.#corpus(index).statistics;
  }

  terms(index: SearchIndex, prefix: string, limit: number): TermCount[] {
    return this.#corpus(index).terms(prefix, limit);
  }

  rank(index: SearchIndex, request: RankRequest, limit: number): SearchHit[] {
    return this.#corpus(index).rank(request, limit)
      .sort((a, b) => b.score - a.score || b.creationTime - a.creationTime)
      .slice(0, limit);
  }

  #corpus(index: SearchIndex): Corpus {
    let corpus = this.#corpora.get(index.id);
    if (corpus === undefined) {
      const view = new LayeredSnapshot(this.#newest, [this.#undo(index.table)]);
      this.#corpora.set(index.id, corpus = new Corpus(view, index));
    }
    return corpus;
  }
}

/** What has to be written over the newest state to have the documents of a table as they were at `timestamp`. */
function undoLayer(
  statements: Statements,
  table: TableNumber,
  timestamp: Timestamp,
  lastRow: number,
): WriteLayer {
  const layer = new WriteLayer();
  const add = (document: string, json: string | null) => {
    const id = parseDocument(document)._id as string;
    if (mustIdTableNumber(id) !== table) return;
    const noKeys = { baseKeys: [], keys: [], baseSearchKeys: [], searchKeys: [] };
    layer.set(id, { table, id, base: null, json, ...noKeys });
  };
  for (const [json] of statements.revised.iterate(timestamp, lastRow)) {
    add(json as string, json as string);
  }
  for (const [json] of statements.inserted.iterate(lastRow)) add(json as string, null);
  return layer;
}

/** Parameters of what reads an interval: ?1 index, ?2 lower, ?3 upper, ?4 timestamp, ?5 last row. */
function prepareStatements(database: Database) {
  // Of a key's changes after the timestamp the first one tells: what it removed was there, what it added was not.
  const changes =
    "FROM history_entries AS earlier WHERE earlier.index_id = ?1 AND earlier.timestamp > ?4";
  const kept = `
    FROM index_entries AS entry
    WHERE index_id = ?1 AND key >= ?2 AND key < ?3 AND row <= ?5
      AND NOT EXISTS (SELECT 1 ${changes} AND earlier.key = entry.key)`;
  const gone = `
    FROM history_entries AS entry
    WHERE index_id = ?1 AND key >= ?2 AND key < ?3 AND row <= ?5 AND timestamp > ?4 AND existed = 1
      AND NOT EXISTS (
        SELECT 1 ${changes} AND earlier.key = entry.key AND earlier.timestamp < entry.timestamp)`;
  const json = `
    ifnull(
      (SELECT json FROM history_revisions AS revision
       WHERE revision.row = entry.row AND revision.timestamp > ?4 ORDER BY timestamp LIMIT 1),
      (SELECT json FROM documents WHERE documents.row = entry.row))`;
  const scan = (order: "ASC" | "DESC") =>
    database.prepare(`
      SELECT row, ${json}, key ${kept} UNION ALL SELECT row, ${json}, key ${gone}
      ORDER BY key ${order} LIMIT ?6`);
  return {
    start: database.prepare("SELECT history_start FROM state"),
    lastRow: database.prepare(`
      SELECT last_row FROM history_rows WHERE timestamp <= ? ORDER BY timestamp DESC LIMIT 1`),
    scan: { asc: scan("ASC"), desc: scan("DESC") },
    count: database.prepare(`
      SELECT (SELECT count(*) ${kept}) + (SELECT count(*) ${gone})`),
    // With min(), SQLite takes the other columns from the row that has it.
    revised: database.prepare(`
      SELECT json, min(change) FROM history_revisions
      WHERE timestamp > ? AND row <= ? GROUP BY row`),
    inserted: database.prepare("SELECT json FROM documents WHERE row > ?"),
  };
}
