/**
 * Full-text indexes as SQLite's FTS5 holds them: all of them in one table, whose rows are the entries of
 * documents. What FTS5 gets are not texts but the tokens that the engine made of them, each with the index in
 * front, and one token for the value of each filter field; so the words of documents, of queries and of writes
 * that are not committed yet are the same words, and indexes come and go without changes of the layout.
 *
 * FTS5 keeps no texts (`content=''`), only which tokens stand in which column of which row. A term stands in
 * the column named after how often it occurs in the document, so one look-up tells both. FTS5's own ranking is
 * not used: it knows neither single indexes nor the writes of a transaction.
 */
import type { CatalogData, IndexId, SearchIndex } from "../database/catalog.ts";
import { lengthInfluence, occurrencesMax, saturation } from "../database/search/ranking.ts";
import { type SearchEntry, searchEntry } from "../database/search/search_entry.ts";
import type {
  RankRequest,
  SearchHit,
  SearchSnapshot,
  SearchStatistics,
  TermCount,
} from "../database/search/search_snapshot.ts";
import type { DocumentWrite } from "../database/write_set.ts";
import { parseDocument, type ValueObject } from "../values/value.ts";
import type { Database, Statement } from "./sqlite.ts";

/** Neither letter nor digit, so it is in no term; outside of ASCII, so FTS5 does not split there. */
const separator = "§";
/** Behind every character that a term has. */
const endOfTerms = "\u{10ffff}";

function termToken(index: IndexId, term: string): string {
  return `${index.toString(36)}${separator}${term}`;
}

function filterToken(index: IndexId, field: number, digest: string): string {
  return termToken(index, `${separator}${field}${separator}${digest}`);
}

/** The index that a token belongs to. */
export function indexOfToken(token: string): IndexId {
  return parseInt(token.slice(0, token.indexOf(separator)), 36) as IndexId;
}

/** Every token of an entry with the number of its column. */
export function* tokensOf(
  index: IndexId,
  { terms, filters }: SearchEntry,
): Iterable<readonly [column: number, token: string]> {
  for (const [term, count] of terms) {
    yield [Math.min(count, occurrencesMax), termToken(index, term)];
  }
  for (const [field, digest] of filters.entries()) yield [1, filterToken(index, field, digest)];
}

/** What FTS5 gets for each column. */
function columnsOf(index: IndexId, entry: SearchEntry): (string | null)[] {
  const columns: (string | null)[] = Array(occurrencesMax).fill(null);
  for (const [column, token] of tokensOf(index, entry)) {
    const before = columns[column - 1];
    columns[column - 1] = before ? `${before} ${token}` : token;
  }
  return columns;
}

/** The names of the columns, as SQL lists them. */
const columnNames = Array.from({ length: occurrencesMax }, (_, i) => `"${i + 1}"`).join(", ");

/** Keeps full-text indexes up to date, inside the transactions of the writer. */
export class FullTextWriter {
  readonly #statements: ReturnType<typeof prepareWriterStatements>;
  #lastEntry: number;

  constructor(database: Database) {
    this.#statements = prepareWriterStatements(database);
    this.#lastEntry = this.#statements.lastEntry.value() as number;
  }

  /** Follows a write of the document in `row`. */
  write(
    catalog: CatalogData,
    { json, existed, changedSearchIndexes }: DocumentWrite,
    row: number,
  ): void {
    if (changedSearchIndexes === undefined) return;
    const document = json === null ? null : parseDocument(json);
    for (const index of catalog.indexes) {
      if (index.kind !== "search" || !changedSearchIndexes.includes(index.id)) continue;
      if (existed) this.#remove(index.id, row);
      if (document !== null) this.#add(index, row, document);
    }
  }

  /** Enters a document that existed before the index did, unless a write has entered it already. */
  backfill(index: SearchIndex, row: number, document: ValueObject): void {
    if (this.#statements.find.row(index.id, row) === undefined) this.#add(index, row, document);
  }

  #add(index: SearchIndex, row: number, document: ValueObject): void {
    const entry = searchEntry(index, document);
    if (entry === null) return;
    const { _id, _creationTime } = document as { _id: string; _creationTime: number };
    const key = ++this.#lastEntry;
    this.#statements.addEntry.run(key, index.id, row, _id, _creationTime, entry.length);
    this.#statements.addTokens.run(key, ...columnsOf(index.id, entry));
    this.#statements.count.run(index.id, 1, entry.length);
  }

  #remove(index: IndexId, row: number): void {
    const entry = this.#statements.removeEntry.row(index, row) as [number, number] | undefined;
    if (entry === undefined) return;
    const [key, length] = entry;
    this.#statements.removeTokens.run(key);
    this.#statements.count.run(index, -1, -length);
  }

  /** Removes up to `limit` entries of an index that is gone; true when none are left. */
  purge(index: IndexId, limit: number): boolean {
    const rows = this.#statements.rowsOf.rows(index, limit);
    for (const [row] of rows) this.#remove(index, row as number);
    if (rows.length === limit) return false;
    this.#statements.removeStatistics.run(index);
    return true;
  }
}

function prepareWriterStatements(database: Database) {
  return {
    find: database.prepare("SELECT entry FROM search_entries WHERE index_id = ? AND row = ?"),
    lastEntry: database.prepare("SELECT ifnull(max(entry), 0) FROM search_entries"),
    addEntry: database.prepare("INSERT INTO search_entries VALUES (?, ?, ?, ?, ?, ?)"),
    removeEntry: database.prepare(`
      DELETE FROM search_entries WHERE index_id = ? AND row = ? RETURNING entry, length`),
    rowsOf: database.prepare("SELECT row FROM search_entries WHERE index_id = ? LIMIT ?"),
    addTokens: database.prepare(`
      INSERT INTO search_tokens (rowid, ${columnNames}) VALUES (?${", ?".repeat(occurrencesMax)})`),
    removeTokens: database.prepare("DELETE FROM search_tokens WHERE rowid = ?"),
    count: database.prepare(`
      INSERT INTO search_statistics VALUES (?, ?, ?) ON CONFLICT DO UPDATE
      SET documents = documents + excluded.documents, tokens = tokens + excluded.tokens`),
    removeStatistics: database.prepare("DELETE FROM search_statistics WHERE index_id = ?"),
  };
}

/** Reads full-text indexes, inside the read transaction of a snapshot. */
export class FullTextReader implements SearchSnapshot {
  readonly #database: Database;
  readonly #statistics: Statement;
  readonly #terms: Statement;
  /** By number of filters. */
  readonly #rank = new Map<number, Statement>();

  constructor(database: Database) {
    this.#database = database;
    this.#statistics = database.prepare(
      "SELECT documents, tokens FROM search_statistics WHERE index_id = ?",
    );
    this.#terms = database.prepare(`
      SELECT term, doc FROM search_terms WHERE term >= ? AND term < ? ORDER BY term LIMIT ?`);
  }

  statistics({ id }: SearchIndex): SearchStatistics {
    const [documents, tokens] = this.#statistics.row(id) ?? [0, 0];
    return { documents: documents as number, tokens: tokens as number };
  }

  terms({ id }: SearchIndex, prefix: string, limit: number): TermCount[] {
    const lower = termToken(id, prefix);
    return this.#terms.rows(lower, lower + endOfTerms, limit).map(([token, documents]) => ({
      term: (token as string).slice(termToken(id, "").length),
      documents: documents as number,
    }));
  }

  rank(
    { id }: SearchIndex,
    { terms, averageLength, filters }: RankRequest,
    limit: number,
  ): SearchHit[] {
    const tokens = terms.map(({ term, weight }) => [termToken(id, term), weight]);
    return this.#rankStatement(filters.length).rows(
      JSON.stringify(tokens),
      averageLength,
      ...filters.map(({ field, digest }) => filterToken(id, field, digest)),
      limit,
    ).map(([id, creationTime, score]) => ({
      id: id as string,
      creationTime: creationTime as number,
      score: score as number,
    }));
  }

  #rankStatement(filters: number): Statement {
    let statement = this.#rank.get(filters);
    if (statement === undefined) {
      this.#rank.set(filters, statement = this.#database.prepare(rankSql(filters)));
    }
    return statement;
  }
}

/** The same formula as in ranking.ts. The column of a term is how often it occurs. */
function rankSql(filters: number): string {
  const hasFilter = "AND entry IN (SELECT doc FROM search_occurrences WHERE term = ?)";
  const lengthFactor = `${1 - lengthInfluence} + ${lengthInfluence} * length / mean`;
  // The terms come first: CROSS keeps the planner from changing the order.
  return `
    WITH
      terms AS (SELECT value ->> 0 AS term, value ->> 1 AS weight FROM json_each(?)),
      corpus AS (SELECT ? AS mean)
    SELECT id, creation_time,
      sum(weight * col * ${saturation + 1} / (col + ${saturation} * (${lengthFactor}))) AS score
    FROM corpus CROSS JOIN terms CROSS JOIN search_occurrences USING (term)
      CROSS JOIN search_entries ON entry = doc
    WHERE TRUE ${hasFilter.repeat(filters)}
    GROUP BY doc ORDER BY score DESC, creation_time DESC LIMIT ?`;
}
