/**
 * The files of the log, in `<data>/logs/`: segments that are only appended to, each named by the cursor of its
 * first entry, and removed as a whole when they are too old or too many. One process never continues
 * another's, because a crash may have left half a line at its end.
 */
import { join } from "node:path";
import type { Environment } from "../environment.ts";
import { persistenceError } from "../persistence/persistence_error.ts";

export interface SegmentsOptions {
  readonly dataFolder: string;
  readonly environment: Environment;
  /** All segments together; the oldest are removed. */
  readonly bytesMax: number;
  /** Entries that are older are removed, an eighth of this later at most. */
  readonly ageMaxMs: number;
}

export interface Segment {
  readonly path: string;
  readonly firstCursor: number;
  bytes: number;
}

interface ActiveSegment extends Segment {
  readonly file: Deno.FsFile;
}

const segmentBytesMax = 4 * 1024 * 1024;
/** At least so many segments hold the log, so that removing one removes little. */
const segmentsMin = 8;
/** Cursors have fractions of a millisecond; the names of segments are whole numbers. */
const nameScale = 1024;

export class Segments {
  readonly #options: SegmentsOptions;
  readonly #folder: string;
  /** Oldest first; the active one, if there is one, is the last. */
  readonly #segments: Segment[];
  #active: ActiveSegment | undefined;
  #lastCursor: number;

  private constructor(options: SegmentsOptions, segments: Segment[], lastCursor: number) {
    this.#options = options;
    this.#folder = join(options.dataFolder, "logs");
    this.#segments = segments;
    this.#lastCursor = lastCursor;
  }

  /** @throws PersistenceError that names the folder when it cannot be used. */
  static async open(options: SegmentsOptions): Promise<Segments> {
    const folder = join(options.dataFolder, "logs");
    try {
      await makeFolder(folder);
      const segments = await findSegments(folder);
      // Entries are written soon after the time that their cursor tells.
      const cursors = segments.flatMap((
        { firstCursor, writtenMs },
      ) => [firstCursor, writtenMs + 1]);
      return new Segments(options, segments, Math.max(0, ...cursors));
    } catch (error) {
      throw persistenceError("use", folder, error);
    }
  }

  /** No entry has a greater one. */
  get lastCursor(): number {
    return this.#lastCursor;
  }

  /** Segments that may hold entries after `cursor`, oldest first. */
  after(cursor: number): readonly Segment[] {
    const begin = this.#segments.findLastIndex(({ firstCursor }) => firstCursor <= cursor);
    return this.#segments.slice(Math.max(begin, 0));
  }

  /** Segments that may hold entries before `cursor`, newest first. */
  before(cursor: number): readonly Segment[] {
    return this.#segments.filter(({ firstCursor }) => firstCursor < cursor).reverse();
  }

  /** Appends lines, of which the first and the last have these cursors. */
  async write(bytes: Uint8Array, firstCursor: number, lastCursor: number): Promise<void> {
    await this.tidy();
    const segment = this.#active ??= await this.#begin(firstCursor);
    try {
      for (let written = 0; written < bytes.length;) {
        written += await segment.file.write(bytes.subarray(written));
      }
    } catch (error) {
      // It may end with half a line now.
      this.end();
      // While the disk is full there would be one more empty file after each attempt.
      if (segment.bytes === 0) await this.#remove(segment);
      throw error;
    }
    segment.bytes += bytes.length;
    this.#lastCursor = lastCursor;
  }

  /** Ends the active segment when it is full, and removes segments that are too old or too many. */
  async tidy(): Promise<void> {
    const { bytesMax, ageMaxMs, environment } = this.#options;
    const bytesOfOne = Math.min(segmentBytesMax, bytesMax / segmentsMin);
    const nowMs = environment.nowMs();
    const active = this.#active;
    const isOver = active !== undefined && (active.bytes >= bytesOfOne ||
      active.firstCursor < nowMs - ageMaxMs / segmentsMin);
    if (isOver) this.end();
    let bytes = this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
    for (;;) {
      const [oldest, next] = this.#segments;
      if (oldest === undefined || oldest === this.#active) return;
      const endMs = next?.firstCursor ?? this.#lastCursor;
      // There is room for the active segment to fill.
      if (bytes + bytesOfOne <= bytesMax && endMs >= nowMs - ageMaxMs) return;
      bytes -= oldest.bytes;
      await this.#remove(oldest);
    }
  }

  async #remove(segment: Segment): Promise<void> {
    this.#segments.splice(this.#segments.indexOf(segment), 1);
    await Deno.remove(segment.path).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }

  /** What is written next begins a new segment. */
  end(): void {
    this.#active?.file.close();
    this.#active = undefined;
  }

  async #begin(cursor: number): Promise<ActiveSegment> {
    const name = String(Math.floor(cursor * nameScale)).padStart(16, "0");
    const path = join(this.#folder, `${name}.jsonl`);
    const file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
    const segment = { path, firstCursor: cursor, bytes: 0, file };
    this.#segments.push(segment);
    return segment;
  }
}

/** Not recursively: a data folder that was deleted is not to come back as this folder alone. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await Deno.mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/** Oldest first. */
async function findSegments(folder: string): Promise<(Segment & { writtenMs: number })[]> {
  const segments = [];
  for await (const { name } of Deno.readDir(folder)) {
    const [, digits] = /^(\d+)\.jsonl$/.exec(name) ?? [];
    if (digits === undefined) continue;
    const path = join(folder, name);
    const { size, mtime } = await Deno.stat(path);
    const firstCursor = Number(digits) / nameScale;
    segments.push({ path, firstCursor, bytes: size, writtenMs: mtime?.getTime() ?? 0 });
  }
  return segments.sort((a, b) => a.firstCursor - b.firstCursor);
}
