/**
 * Searches vector indexes: a scan of the quantized vectors finds candidates, which are then compared with the
 * query in full. Whatever has been committed is found: before each search the vectors in memory are brought up
 * to date with the snapshot that the search reads.
 *
 * Entries that are gone from the database stay in memory until a search comes across them. An index with many
 * of them is read anew once as many entries have been added as it had, so they are never more than half.
 */
import type { IndexId } from "../database/catalog.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { RequestError } from "../errors.ts";
import type { StoredVector, VectorReader } from "../persistence/vector_reader.ts";
import { cosineSimilarity } from "./cosine_similarity.ts";
import { type Condition, QuantizedVectors } from "./quantized_vectors.ts";

/** Candidates that are compared in full: so many of them for each result, and at least so many. */
const candidatesPerResult = 4;
const candidatesMin = 256;

/** Additions after which an index is read anew, however small it was. */
const additionsMin = 1024;

export interface SearchRequest {
  readonly index: IndexId;
  /** Has as many elements as the index has dimensions. */
  readonly vector: Float32Array<ArrayBuffer>;
  /** How many fields the index filters by. */
  readonly filterFields: number;
  /** A document has to meet one of them; null: any document will do. */
  readonly conditions: readonly Condition[] | null;
  readonly limit: number;
}

export interface SearchResult {
  /** Best first. */
  readonly matches: readonly VectorMatch[];
  /** Of the newest commit that the search saw. */
  readonly timestamp: Timestamp;
}

export interface VectorMatch {
  /** Of the document. */
  readonly id: string;
  /** Cosine similarity, from -1 to 1. */
  readonly score: number;
}

interface LoadedIndex {
  readonly vectors: QuantizedVectors;
  readonly sizeWhenRead: number;
  additions: number;
  /** Every entry up to this number is in `vectors` or gone. */
  newestEntry: number;
}

export class Searcher {
  readonly #reader: VectorReader;
  readonly #bytesMax: number;
  /** The one that was searched last is the last. */
  readonly #indexes = new Map<IndexId, LoadedIndex>();

  /** `bytesMax` bounds the memory of all indexes together. */
  constructor(reader: VectorReader, bytesMax: number) {
    this.#reader = reader;
    this.#bytesMax = bytesMax;
  }

  /**
   * The documents whose vectors are nearest to the one given.
   * @throws RequestError when the index does not fit into memory.
   */
  search(request: SearchRequest): SearchResult {
    return this.#reader.read((timestamp) => ({ matches: this.#nearest(request), timestamp }));
  }

  #nearest(request: SearchRequest): VectorMatch[] {
    const { vectors } = this.#upToDate(request);
    const { vector, conditions, limit } = request;
    let count = Math.max(candidatesMin, limit * candidatesPerResult);
    for (;;) {
      const { matches, gone } = this.#compare(vector, vectors.nearest(vector, count, conditions));
      if (gone.size === 0) return matches.sort((a, b) => b.score - a.score).slice(0, limit);
      vectors.remove(gone);
      count *= 2;
    }
  }

  #compare(
    vector: Float32Array,
    candidates: readonly number[],
  ): { matches: VectorMatch[]; gone: ReadonlySet<number> } {
    const matches: VectorMatch[] = [];
    const gone = new Set<number>();
    for (const entry of candidates) {
      const stored = this.#reader.get(entry);
      if (stored === undefined) gone.add(entry);
      else matches.push({ id: stored.id, score: cosineSimilarity(vector, stored.vector) });
    }
    return { matches, gone };
  }

  #upToDate(request: SearchRequest): LoadedIndex {
    const newestEntry = this.#reader.newestEntry();
    let loaded = this.#indexes.get(request.index);
    this.#indexes.delete(request.index);
    if (loaded === undefined || loaded.additions > Math.max(additionsMin, loaded.sizeWhenRead)) {
      loaded = this.#load(request, newestEntry);
    } else if (loaded.newestEntry < newestEntry) {
      const before = loaded.vectors.size;
      this.#add(loaded.vectors, this.#reader.added(request.index, loaded.newestEntry));
      loaded.additions += loaded.vectors.size - before;
      loaded.newestEntry = newestEntry;
    }
    this.#indexes.set(request.index, loaded);
    return loaded;
  }

  #load({ index, vector, filterFields }: SearchRequest, newestEntry: number): LoadedIndex {
    for (const id of this.#indexes.keys()) {
      // It has been dropped, or costs nothing to read again.
      if (!this.#reader.hasEntries(id)) this.#indexes.delete(id);
    }
    const vectors = new QuantizedVectors(vector.length, filterFields);
    this.#add(vectors, this.#reader.all(index));
    return { vectors, sizeWhenRead: vectors.size, additions: 0, newestEntry };
  }

  /** Drops the indexes that have not been searched for longest while there is no room for this one. */
  #add(vectors: QuantizedVectors, stored: Iterable<StoredVector>): void {
    let bytesOfOthers = this.#bytesOfOthers();
    for (const vector of stored) {
      vectors.add(vector);
      while (vectors.bytes + bytesOfOthers > this.#bytesMax) {
        const [oldest] = this.#indexes.keys();
        if (oldest === undefined) throw tooLarge(vectors, this.#bytesMax);
        this.#indexes.delete(oldest);
        bytesOfOthers = this.#bytesOfOthers();
      }
    }
  }

  /** Of all but the one that is being searched. */
  #bytesOfOthers(): number {
    return this.#indexes.values().reduce((sum, { vectors }) => sum + vectors.bytes, 0);
  }
}

function tooLarge({ size }: QuantizedVectors, bytesMax: number): RequestError {
  return new RequestError(
    "overloaded",
    "VectorIndexTooLarge",
    `The vector index does not fit into ${bytesMax / (1024 * 1024)} MiB of memory, which hold ` +
      `${size - 1} of its vectors. Raise HULL_VECTOR_MEMORY_MIB.`,
  );
}
