/**
 * Documents of an index interval in order, merged from the snapshot and the layers above it. Rows of the
 * snapshot are fetched in batches that grow; layers are looked at anew for each document, so that a scan
 * sees what is written while it runs.
 */
import { type IndexKey, indexKeyOf, keySuccessor } from "../values/index_key.ts";
import { parseDocument, type ValueObject } from "../values/value.ts";
import type { DatabaseIndex } from "./catalog.ts";
import type { LayeredSnapshot } from "./layered_snapshot.ts";
import type { Scan } from "./query_run.ts";
import type { KeyInterval } from "./read_set.ts";
import type { Order, StoredDocument } from "./snapshot.ts";
import type { LayerEntry, WriteLayer } from "./write_layer.ts";

/** Documents have up to 1 MiB, and an isolate's heap must hold a batch of those. */
const batchRowsFirst = 50;
const batchRowsMax = 1024;
const batchCharactersMax = 1024 * 1024;

export interface ScanOptions {
  readonly index: DatabaseIndex;
  readonly interval: KeyInterval;
  readonly order: Order;
  /** How many documents are wanted, if that is known. */
  readonly rowsWanted?: number | undefined;
}

export class IndexScan implements Scan {
  readonly #view: LayeredSnapshot;
  readonly #index: DatabaseIndex;
  readonly #interval: KeyInterval;
  readonly #order: Order;
  readonly #rowsWanted: number;

  /** Key of the last document returned, as of the last `settle`. */
  #settledKey: IndexKey | undefined;
  /** The last document returned since then. Only it needs its key computed, not those before it. */
  #unsettled: ValueObject | undefined;
  #ended = false;

  /** Rows of the snapshot; those before `#position` are used up. */
  #batch: StoredDocument[] = [];
  #position = 0;
  #rowsFetched = 0;
  #charactersFetched = 0;
  #snapshotEnded: boolean;
  /** The row at `#position - 1`, decoded but not returned yet. */
  #peeked: ValueObject | undefined;

  constructor(view: LayeredSnapshot, { index, interval, order, rowsWanted }: ScanOptions) {
    this.#view = view;
    this.#index = index;
    this.#interval = interval;
    this.#order = order;
    this.#rowsWanted = rowsWanted ?? Infinity;
    this.#snapshotEnded = interval.upper !== null && interval.lower >= interval.upper;
  }

  /** The next document, a fresh object; undefined at the end. */
  next(): ValueObject | undefined {
    if (this.#ended) return undefined;
    const layers = this.#view.layersOfIndex(this.#index);
    const document = layers.length === 0 ? this.#takeStored() : this.#takeMerged(layers);
    if (document === undefined) this.#ended = true;
    else this.#unsettled = document;
    return document;
  }

  /**
   * The interval read so far: up to the last document returned, or all of it once the end was met; none
   * before either. Must be called before user code gets hold of a document, whose values make its key.
   */
  settle(): readonly KeyInterval[] {
    if (this.#unsettled !== undefined) {
      this.#settledKey = this.keyOf(this.#unsettled);
      this.#unsettled = undefined;
    }
    if (this.#ended) return [this.#interval];
    if (this.#settledKey === undefined) return [];
    return this.#order === "asc"
      ? [{ lower: this.#interval.lower, upper: keySuccessor(this.#settledKey) }]
      : [{ lower: this.#settledKey, upper: this.#interval.upper }];
  }

  keyOf(document: ValueObject): IndexKey {
    return indexKeyOf(this.#index, document);
  }

  /** What lies behind `key` in the direction of the scan. */
  #behind(key: IndexKey | undefined): KeyInterval {
    if (key === undefined) return this.#interval;
    return this.#order === "asc"
      ? { lower: keySuccessor(key), upper: this.#interval.upper }
      : { lower: this.#interval.lower, upper: key };
  }

  #takeStored(): ValueObject | undefined {
    const document = this.#peekStored();
    this.#peeked = undefined;
    return document;
  }

  #peekStored(): ValueObject | undefined {
    if (this.#peeked !== undefined) return this.#peeked;
    if (this.#position === this.#batch.length) this.#fetch();
    const row = this.#batch[this.#position];
    if (row === undefined) return undefined;
    this.#position++;
    return this.#peeked = parseDocument(row.json);
  }

  #fetch(): void {
    if (this.#snapshotEnded) return;
    const lastRow = this.#batch.at(-1);
    const lastKey = lastRow && indexKeyOf(this.#index, parseDocument(lastRow.json));
    const rows = this.#nextBatchRows();
    const rest = this.#behind(lastKey);
    this.#batch = this.#view.snapshot.scan(this.#index.id, rest, this.#order, rows);
    this.#position = 0;
    this.#snapshotEnded = this.#batch.length < rows;
    this.#rowsFetched += this.#batch.length;
    for (const { json } of this.#batch) this.#charactersFetched += json.length;
  }

  /** As many as are wanted, but after the first batch no more than documents of that size fill memory. */
  #nextBatchRows(): number {
    const rowsLeft = this.#rowsWanted - this.#rowsFetched;
    // Rows hidden by layers may use up what was wanted.
    const rows = rowsLeft > 0 ? rowsLeft : batchRowsFirst;
    if (this.#rowsFetched === 0) return Math.min(rows, batchRowsFirst);
    const averageCharacters = this.#charactersFetched / this.#rowsFetched;
    const rowsThatFit = Math.max(1, Math.floor(batchCharactersMax / averageCharacters));
    return Math.min(rows, rowsThatFit, batchRowsMax);
  }

  #takeMerged(layers: readonly WriteLayer[]): ValueObject | undefined {
    this.settle();
    const stored = this.#peekUnhidden(layers);
    const written = this.#firstWritten(layers);
    if (written === undefined) return stored && this.#takeStored();
    if (stored !== undefined) {
      const storedKey = indexKeyOf(this.#index, stored);
      if (this.#order === "asc" ? storedKey < written.key : storedKey > written.key) {
        return this.#takeStored();
      }
    }
    return parseDocument(this.#view.writeTo(written.id)!.json!);
  }

  /** The next row of the snapshot that no layer knows better. */
  #peekUnhidden(layers: readonly WriteLayer[]): ValueObject | undefined {
    for (;;) {
      const document = this.#peekStored();
      if (document === undefined) return undefined;
      const id = document._id as string;
      if (!this.#view.hides(id, layers)) return document;
      this.#peeked = undefined;
    }
  }

  /** The next document that stands in one of the layers and that no newer layer knows better. */
  #firstWritten(layers: readonly WriteLayer[]): LayerEntry | undefined {
    let first: LayerEntry | undefined;
    for (const layer of layers) {
      let entry: LayerEntry | undefined;
      let key = this.#settledKey;
      do {
        entry = layer.first(this.#index.id, this.#behind(key), this.#order);
        key = entry?.key;
      } while (entry !== undefined && this.#view.writeTo(entry.id) !== layer.get(entry.id));
      const nearer = entry !== undefined && (first === undefined ||
        (this.#order === "asc" ? entry.key < first.key : entry.key > first.key));
      if (nearer) first = entry;
    }
    return first;
  }
}
