/**
 * The log on disk. Entries wait in memory for a moment, are written by the runtime's file threads, and are in
 * the operating system's hands then: they survive the end of the process, whatever ends it. Nobody waits for
 * that, and a disk that is full or too slow costs entries, not calls.
 */
import { log } from "../logger.ts";
import type { LoggedEntry } from "./log_entry.ts";
import { linesOf, type SegmentLine } from "./segment_reader.ts";
import { Segments, type SegmentsOptions } from "./segments.ts";

/** How much is read at once. */
export interface ReadLimits {
  readonly entriesMax: number;
  /** Passed by one entry at most. */
  readonly bytesMax: number;
}

/** How long an entry waits for others before it is written, in milliseconds. */
const gatherMs = 250;
/** Text that is written at once, and for whose sake writing begins early, in characters. */
const batchCharacters = 1024 * 1024;
/** Text that may wait for a slow disk, in characters; what comes then is lost. */
const pendingCharactersMax = 32 * batchCharacters;
/** How often old segments are looked for when nothing is logged, in milliseconds. */
const tidyMs = 3_600_000;

interface PendingLine {
  readonly cursor: number;
  readonly text: string;
}

const encoder = new TextEncoder();

export class LogFiles {
  readonly #segments: Segments;
  readonly #environment: SegmentsOptions["environment"];
  #pending: PendingLine[] = [];
  /** Of what waits and of what is being written. */
  #pendingCharacters = 0;
  /** Whatever happens to the segments now, one thing at a time. */
  #writing: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  #cancelTidying: () => void;
  /** Entries that found too many before them. */
  #lost = 0;
  /** Whether the last write failed; told once. */
  #fails = false;

  private constructor(segments: Segments, environment: SegmentsOptions["environment"]) {
    this.#segments = segments;
    this.#environment = environment;
    this.#cancelTidying = environment.setTimer(tidyMs, () => this.#tidyNowAndThen());
  }

  static async open(options: SegmentsOptions): Promise<LogFiles> {
    const segments = await Segments.open(options);
    await segments.tidy();
    return new LogFiles(segments, options.environment);
  }

  /** No entry that is on disk has a greater one. */
  get lastCursor(): number {
    return this.#segments.lastCursor;
  }

  /** Cursors must grow from call to call. */
  append({ cursor, entry }: LoggedEntry): void {
    if (this.#pendingCharacters >= pendingCharactersMax) {
      this.#lost++;
      return;
    }
    const text = `{"cursor":${cursor},${JSON.stringify(entry).slice(1)}\n`;
    this.#pending.push({ cursor, text });
    this.#pendingCharacters += text.length;
    this.#planWriting();
  }

  /** What follows `cursor`, oldest first. */
  async after(cursor: number, { entriesMax, bytesMax }: ReadLimits): Promise<LoggedEntry[]> {
    await this.#flush();
    const entries: LoggedEntry[] = [];
    let bytes = 0;
    for (const { path } of this.#segments.after(cursor)) {
      for await (const line of linesOf(path)) {
        if (entries.length === entriesMax || bytes >= bytesMax) return entries;
        const entry = line.cursor > cursor ? line.parse() : undefined;
        if (entry === undefined) continue;
        entries.push(entry);
        bytes += line.bytes;
      }
    }
    return entries;
  }

  /** The newest ones before `cursor`, oldest first. */
  async before(cursor: number, { entriesMax, bytesMax }: ReadLimits): Promise<LoggedEntry[]> {
    await this.#flush();
    let newest: readonly SegmentLine[] = [];
    for (const { path } of this.#segments.before(cursor)) {
      if (entriesMax <= 0 || bytesMax <= 0) break;
      const lines = new NewestLines({ entriesMax, bytesMax });
      for await (const line of linesOf(path)) if (line.cursor < cursor) lines.add(line);
      newest = [...lines.kept, ...newest];
      entriesMax -= lines.kept.length;
      // A line that was left out for its size is not to be followed by smaller ones.
      bytesMax = lines.areAll ? bytesMax - lines.bytes : 0;
    }
    return newest.map((line) => line.parse()).filter((entry) => entry !== undefined);
  }

  /** Writes what waits; nothing may be appended any more. */
  async close(): Promise<void> {
    await this.#flush();
    this.#cancelTidying();
    this.#segments.end();
  }

  /** Resolves when all that was appended before the call is written, however much comes meanwhile. */
  async #flush(): Promise<void> {
    await this.#writing;
    this.#startWriting();
    await this.#writing;
  }

  /** What waits is written at once if it is much, and in a moment otherwise. */
  #planWriting(): void {
    if (this.#pending.length === 0 || this.#writing !== undefined) return;
    if (this.#pendingCharacters >= batchCharacters) this.#startWriting();
    else this.#cancelTimer ??= this.#environment.setTimer(gatherMs, () => this.#startWriting());
  }

  #startWriting(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#writing === undefined) this.#occupy(this.#write());
  }

  #occupy(work: Promise<void>): void {
    this.#writing = work.finally(() => {
      this.#writing = undefined;
      this.#planWriting();
    });
  }

  /** Writes what waits now. Never rejects: a log that cannot be written is no reason to stop. */
  async #write(): Promise<void> {
    const lines = this.#pending;
    this.#pending = [];
    for (const batch of batchesOf(lines)) {
      const text = batch.map(({ text }) => text).join("");
      try {
        await this.#segments.write(encoder.encode(text), batch[0]!.cursor, batch.at(-1)!.cursor);
        this.#fails = false;
      } catch (error) {
        if (!this.#fails) log("warn", "Logs of functions are not written to disk", { error });
        this.#fails = true;
      }
      this.#pendingCharacters -= text.length;
    }
    if (this.#lost > 0) {
      log("warn", "Logs of functions came faster than the disk", { lostEntries: this.#lost });
      this.#lost = 0;
    }
  }

  #tidyNowAndThen(): void {
    this.#cancelTidying = this.#environment.setTimer(tidyMs, () => this.#tidyNowAndThen());
    // Between writes alone, because these tidy, too.
    if (this.#writing !== undefined) return;
    this.#occupy(
      this.#segments.tidy()
        .catch((error) => log("warn", "Old logs of functions are not removed", { error })),
    );
  }
}

function* batchesOf(lines: readonly PendingLine[]): Generator<readonly PendingLine[]> {
  for (let begin = 0, end = 0; begin < lines.length; begin = end) {
    for (let characters = 0; end < lines.length && characters < batchCharacters; end++) {
      characters += lines[end]!.text.length;
    }
    yield lines.slice(begin, end);
  }
}

/** The last lines of a segment, as many as may be kept. */
class NewestLines {
  readonly kept: SegmentLine[] = [];
  bytes = 0;
  /** None was left out. */
  areAll = true;

  constructor(readonly limits: ReadLimits) {}

  add(line: SegmentLine): void {
    this.kept.push(line);
    this.bytes += line.bytes;
    const { entriesMax, bytesMax } = this.limits;
    while (this.kept.length > entriesMax || (this.bytes > bytesMax && this.kept.length > 1)) {
      this.bytes -= this.kept.shift()!.bytes;
      this.areAll = false;
    }
  }
}
