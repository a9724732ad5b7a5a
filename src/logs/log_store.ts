/**
 * What happened to each execution of a function: what `stream_function_logs` and the terminal show
 * (deploy-protocol 8). The newest entries are in memory, all that retention leaves are on disk.
 */
import type { Environment } from "../environment.ts";
import type { LogBudgets } from "./log_budgets.ts";
import { entrySize, type LogEntry, type LoggedEntry } from "./log_entry.ts";
import type { LogFiles } from "./log_files.ts";

/** Entries kept in memory; older ones are overwritten. */
const entriesMax = 10_000;
/** Text kept in memory, in characters. */
const charactersMax = 16 * 1024 * 1024;
/** What one page has at most; it may end with one entry that is larger. */
const pageLimits = { entriesMax: 1000, bytesMax: 4 * 1024 * 1024 };
/** Who has not read for this long does not follow any more, in milliseconds; longer than a poll waits. */
const followingMs = 75_000;
/** Cursors are milliseconds; entries of the same one are this far apart. A double near today has room for it. */
const cursorStep = 1 / 1024;

export interface LogPage {
  /** Oldest first. */
  readonly entries: readonly LogEntry[];
  /** Of the last entry, or the cursor that was asked with. */
  readonly cursor: number;
}

export interface LogStoreParts {
  /** Without files nothing outlives the process. */
  readonly files?: LogFiles;
  readonly budgets?: LogBudgets;
}

interface Slot extends LoggedEntry {
  readonly characters: number;
}

export class LogStore {
  readonly #environment: Environment;
  readonly #parts: LogStoreParts;
  /** A ring: the oldest is at `#first`, `#count` are filled. */
  readonly #slots: (Slot | undefined)[] = new Array(entriesMax).fill(undefined);
  #first = 0;
  #count = 0;
  #characters = 0;
  #lastCursor: number;
  /** Everything after this is in memory. */
  #forgottenCursor: number;
  #followedUntilMs = 0;
  #appended = 0;
  readonly #waiting = new Set<() => void>();

  constructor(environment: Environment, parts: LogStoreParts = {}) {
    this.#environment = environment;
    this.#parts = parts;
    this.#lastCursor = this.#forgottenCursor = parts.files?.lastCursor ?? 0;
  }

  /** Whether somebody reads along; what is not worth keeping otherwise is worth adding then. */
  get isFollowed(): boolean {
    return this.#environment.nowMs() < this.#followedUntilMs;
  }

  append(entry: LogEntry): void {
    for (const kept of this.#parts.budgets?.spend(entry) ?? [entry]) this.#add(kept);
    this.#appended++;
    if (this.#waiting.size > 0) this.#wake();
  }

  #add(entry: LogEntry): void {
    const cursor = Math.max(entry.timestampMs, this.#lastCursor + cursorStep);
    const slot = { cursor, entry, characters: entrySize(entry) };
    this.#lastCursor = cursor;
    if (this.#count === entriesMax) this.#dropFirst();
    this.#slots[(this.#first + this.#count) % entriesMax] = slot;
    this.#count++;
    this.#characters += slot.characters;
    while (this.#characters > charactersMax && this.#count > 1) this.#dropFirst();
    // Answers from the cache are for those who read along; nothing was executed.
    if (entry.kind === "progress" || !entry.cached) this.#parts.files?.append(slot);
  }

  /** The newest page. */
  async newest(): Promise<LogPage> {
    this.#follow();
    const { entriesMax, bytesMax } = pageLimits;
    let position = this.#count;
    let bytes = 0;
    while (position > 0 && this.#count - position < entriesMax && bytes < bytesMax) {
      bytes += this.#slotAt(--position).characters;
    }
    const slots = this.#slotsFrom(position, this.#count);
    const cursor = this.#lastCursor;
    const rest = { entriesMax: entriesMax - slots.length, bytesMax: bytesMax - bytes };
    const before = slots[0]?.cursor ?? Infinity;
    const older = await this.#parts.files?.before(before, rest) ?? [];
    return { entries: [...older, ...slots].map(({ entry }) => entry), cursor };
  }

  /** The first page behind `cursor`, empty if there is nothing yet. */
  async after(cursor: number): Promise<LogPage> {
    this.#follow();
    if (cursor < this.#forgottenCursor && this.#parts.files !== undefined) {
      const entries = await this.#parts.files.after(cursor, pageLimits);
      if (entries.length > 0) return pageOf(entries, cursor);
    }
    const begin = this.#positionAfter(cursor);
    let end = begin;
    for (let bytes = 0; end < this.#count && end - begin < pageLimits.entriesMax; end++) {
      if (bytes >= pageLimits.bytesMax) break;
      bytes += this.#slotAt(end).characters;
    }
    return pageOf(this.#slotsFrom(begin, end), cursor);
  }

  /** As `after`, but waits for the first entry, at most `timeoutMs` and not beyond `signal`. */
  async waitAfter(cursor: number, timeoutMs: number, signal?: AbortSignal): Promise<LogPage> {
    const appended = this.#appended;
    const page = await this.after(cursor);
    if (page.entries.length > 0 || signal?.aborted) return page;
    if (this.#appended > appended) return await this.after(cursor);
    await new Promise<void>((resolve) => {
      const wake = () => {
        cancelTimer();
        signal?.removeEventListener("abort", wake);
        this.#waiting.delete(wake);
        resolve();
      };
      const cancelTimer = this.#environment.setTimer(timeoutMs, wake);
      signal?.addEventListener("abort", wake);
      this.#waiting.add(wake);
    });
    return await this.after(cursor);
  }

  /** Where a reader begins who wants nothing but what is still to come. */
  get lastCursor(): number {
    return this.#lastCursor;
  }

  #follow(): void {
    this.#followedUntilMs = this.#environment.nowMs() + followingMs;
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #dropFirst(): void {
    const { cursor, characters } = this.#slotAt(0);
    this.#forgottenCursor = cursor;
    this.#characters -= characters;
    this.#slots[this.#first] = undefined;
    this.#first = (this.#first + 1) % entriesMax;
    this.#count--;
  }

  /** Position of the first entry after `cursor`, counted from the oldest. */
  #positionAfter(cursor: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#slotAt(middle).cursor <= cursor) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #slotsFrom(begin: number, end: number): Slot[] {
    return Array.from({ length: end - begin }, (_, i) => this.#slotAt(begin + i));
  }

  #slotAt(position: number): Slot {
    return this.#slots[(this.#first + position) % entriesMax]!;
  }
}

function pageOf(entries: readonly LoggedEntry[], cursor: number): LogPage {
  return {
    entries: entries.map(({ entry }) => entry),
    cursor: entries.at(-1)?.cursor ?? cursor,
  };
}
