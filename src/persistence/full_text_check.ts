/**
 * Whether full-text indexes hold what the documents say. The tokens are compared as sums over each index, so
 * memory stays bounded: the occurrences that FTS5 lists must be those that the documents have.
 */
import { type IndexId, isFilled, type SearchIndex } from "../database/catalog.ts";
import { searchEntry } from "../database/search/search_entry.ts";
import type { ValueObject } from "../values/value.ts";
import type { Report } from "./database_check.ts";
import { indexOfToken, tokensOf } from "./full_text.ts";
import type { Database } from "./sqlite.ts";

/** What the entries of one index come to. */
class Sums {
  documents = 0;
  /** Of texts. */
  length = 0;
  occurrences = 0;
  checksum = 0;

  addOccurrence(entry: number, column: number, token: string): void {
    this.occurrences++;
    this.checksum = (this.checksum + hash(`${entry} ${column} ${token}`)) >>> 0;
  }
}

export class FullTextCheck {
  readonly #report: Report;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #expected = new Map<IndexId, { readonly name: string; readonly sums: Sums }>();

  constructor(database: Database, report: Report) {
    this.#report = report;
    this.#statements = prepareStatements(database);
  }

  /** Before any document: an index of this name is to be checked. */
  expect(index: SearchIndex, name: string): void {
    this.#expected.set(index.id, { name, sums: new Sums() });
  }

  checkDocument(index: SearchIndex, row: number, document: ValueObject): void {
    const { name, sums } = this.#expected.get(index.id)!;
    const { _id, _creationTime } = document;
    const entry = searchEntry(index, document);
    const stored = this.#statements.entry.row(index.id, row);
    if (entry === null || stored === undefined) {
      const isMissing = entry !== null && isFilled(index);
      if (isMissing) this.#report(`Document ${_id}: the index ${name} does not have it.`);
      return;
    }
    const [key, id, creationTime, length] = stored as [number, string, number, number];
    if (id !== _id || creationTime !== _creationTime || length !== entry.length) {
      this.#report(`Document ${_id}: the index ${name} has something else in its place.`);
    }
    sums.documents++;
    sums.length += entry.length;
    for (const [column, token] of tokensOf(index.id, entry)) {
      sums.addOccurrence(key, column, token);
    }
  }

  /** After all documents. */
  finish(): void {
    const found = this.#storedOccurrences();
    for (const [index, { name, sums }] of this.#expected) {
      const entries = this.#statements.entryCount.value(index) as number;
      if (entries !== sums.documents) {
        this.#report(
          `The index ${name} has ${entries - sums.documents} entries that stand for nothing.`,
        );
      }
      const [documents, length] = this.#statements.statistics.row(index) ?? [0, 0];
      if (documents !== sums.documents || length !== sums.length) {
        this.#report(
          `The index ${name} counts ${documents} documents and ${length} words in it, ` +
            `not ${sums.documents} and ${sums.length}.`,
        );
      }
      const { occurrences, checksum } = found.get(index)!;
      if (occurrences !== sums.occurrences || checksum !== sums.checksum) {
        this.#report(`The index ${name} finds other words than its documents have.`);
      }
    }
  }

  #storedOccurrences(): ReadonlyMap<IndexId, Sums> {
    const found = new Map([...this.#expected.keys()].map((index) => [index, new Sums()]));
    for (const row of this.#statements.occurrences.iterate()) {
      const [entry, column, token] = row as unknown as [number, string, string];
      found.get(indexOfToken(token))?.addOccurrence(entry, Number(column), token);
    }
    return found;
  }
}

/** FNV-1a, of 32 bits. */
function hash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}

function prepareStatements(database: Database) {
  return {
    entry: database.prepare(`
      SELECT entry, id, creation_time, length FROM search_entries WHERE index_id = ? AND row = ?`),
    entryCount: database.prepare("SELECT count(*) FROM search_entries WHERE index_id = ?"),
    statistics: database.prepare(
      "SELECT documents, tokens FROM search_statistics WHERE index_id = ?",
    ),
    occurrences: database.prepare("SELECT doc, col, term FROM search_occurrences"),
  };
}
