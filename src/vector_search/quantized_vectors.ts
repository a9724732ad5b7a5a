/**
 * The vectors of one index in memory, with eight bits for each dimension: a quarter of their size, and near
 * enough to tell which of them may be among the nearest. USearch scans them with the widest instructions that
 * the processor has, so there is no graph to build, to keep and to trust.
 */
import { exactSearch, type Matches, MetricKind } from "usearch";
import { filterDigestBytes } from "../database/vector_entry.ts";
import type { StoredVector } from "../persistence/vector_reader.ts";

/** Documents whose filter field number `field` has this digest. */
export interface Condition {
  readonly field: number;
  readonly digest: Uint8Array<ArrayBuffer>;
}

const digestWords = filterDigestBytes / 4;

/** Each chunk is as large as all before it together, between these bounds. */
const chunkVectorsMin = 64;
const chunkBytesMax = 16 * 1024 * 1024;

interface Chunk {
  /** USearch reads from the beginning of the buffer, so that every chunk has its own. */
  readonly codes: Int8Array<ArrayBuffer>;
  readonly entries: Float64Array;
  readonly filters: Uint32Array;
  readonly capacity: number;
  size: number;
}

export class QuantizedVectors {
  readonly #dimensions: number;
  readonly #filterWords: number;
  readonly #chunks: Chunk[] = [];
  #size = 0;

  constructor(dimensions: number, filterFields: number) {
    this.#dimensions = dimensions;
    this.#filterWords = filterFields * digestWords;
  }

  get size(): number {
    return this.#size;
  }

  /** Memory that the vectors take. */
  get bytes(): number {
    return this.#size * (this.#dimensions + this.#filterWords * 4 + 8);
  }

  add({ entry, vector, filters }: StoredVector): void {
    const chunk = this.#chunkWithRoom();
    const slot = chunk.size++;
    quantize(vector, chunk.codes, slot * this.#dimensions);
    chunk.entries[slot] = entry;
    chunk.filters.set(words(filters), slot * this.#filterWords);
    this.#size++;
  }

  #chunkWithRoom(): Chunk {
    const last = this.#chunks.at(-1);
    if (last !== undefined && last.size < last.capacity) return last;
    const capacityMax = Math.floor(chunkBytesMax / this.#dimensions);
    const capacity = Math.min(Math.max(this.#size, chunkVectorsMin), capacityMax);
    const chunk: Chunk = {
      codes: new Int8Array(capacity * this.#dimensions),
      entries: new Float64Array(capacity),
      filters: new Uint32Array(capacity * this.#filterWords),
      capacity,
      size: 0,
    };
    this.#chunks.push(chunk);
    return chunk;
  }

  /** Forgets entries. */
  remove(gone: ReadonlySet<number>): void {
    for (const chunk of this.#chunks) {
      for (let slot = chunk.size - 1; slot >= 0; slot--) {
        if (gone.has(chunk.entries[slot]!)) this.#removeSlot(chunk, slot);
      }
    }
  }

  /** The last slot of the chunk takes its place. */
  #removeSlot(chunk: Chunk, slot: number): void {
    const last = --chunk.size;
    const move = (array: Int8Array | Uint32Array, width: number) =>
      array.copyWithin(slot * width, last * width, (last + 1) * width);
    move(chunk.codes, this.#dimensions);
    move(chunk.filters, this.#filterWords);
    chunk.entries[slot] = chunk.entries[last]!;
    this.#size--;
  }

  /** Entries that are near to `query`, at most `count`, nearest first. They meet one of the conditions, if there are any. */
  nearest(
    query: Float32Array,
    count: number,
    conditions: readonly Condition[] | null,
  ): number[] {
    const codes = new Int8Array(this.#dimensions);
    quantize(query, codes, 0);
    const found: { readonly entry: number; readonly distance: number }[] = [];
    for (const chunk of this.#chunks) {
      const part = conditions === null
        ? { codes: chunk.codes, entries: chunk.entries, size: chunk.size }
        : this.#matching(chunk, conditions);
      if (part.size === 0) continue;
      const { keys, distances } = exactSearch(
        part.codes.subarray(0, part.size * this.#dimensions),
        codes,
        this.#dimensions,
        Math.min(count, part.size),
        MetricKind.Cos,
        1,
      ) as Matches;
      for (const [i, distance] of distances.entries()) {
        found.push({ entry: part.entries[Number(keys[i])]!, distance });
      }
    }
    found.sort((a, b) => a.distance - b.distance);
    return found.slice(0, count).map(({ entry }) => entry);
  }

  /** A copy of what meets one of the conditions. */
  #matching(
    chunk: Chunk,
    conditions: readonly Condition[],
  ): { codes: Int8Array<ArrayBuffer>; entries: Float64Array; size: number } {
    const wanted = conditions.map(({ field, digest }) => ({
      offset: field * digestWords,
      digest: words(digest),
    }));
    const slots: number[] = [];
    for (let slot = 0; slot < chunk.size; slot++) {
      const start = slot * this.#filterWords;
      if (wanted.some(({ offset, digest }) => holds(chunk.filters, start + offset, digest))) {
        slots.push(slot);
      }
    }
    const width = this.#dimensions;
    const entries = new Float64Array(slots.length);
    const codes = new Int8Array(slots.length * width);
    for (const [i, slot] of slots.entries()) {
      entries[i] = chunk.entries[slot]!;
      codes.set(chunk.codes.subarray(slot * width, (slot + 1) * width), i * width);
    }
    return { codes, entries, size: slots.length };
  }
}

/** Whether these words stand there. */
function holds(filters: Uint32Array, start: number, digest: Uint32Array): boolean {
  for (let i = 0; i < digestWords; i++) if (filters[start + i] !== digest[i]) return false;
  return true;
}

/** Writes `vector` to `codes`, scaled so that its largest element uses all of the eight bits. */
function quantize(vector: Float32Array, codes: Int8Array, offset: number): void {
  let largest = 0;
  for (let i = 0; i < vector.length; i++) largest = Math.max(largest, Math.abs(vector[i]!));
  if (largest === 0) return void codes.fill(0, offset, offset + vector.length);
  const scale = 127 / largest;
  for (let i = 0; i < vector.length; i++) {
    // Rounds, in half the time of Math.round: what is cut off is never negative.
    codes[offset + i] = (vector[i]! * scale + 127.5 | 0) - 127;
  }
}

function words(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}
