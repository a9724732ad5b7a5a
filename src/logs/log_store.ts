/**
 * Every execution of a function, in memory, bounded: what `stream_function_logs` and the terminal show
 * (deploy-protocol 8).
 */
import type { Environment } from "../environment.ts";
import type { ExecutionUsage, FunctionKind, LogLine } from "../isolate/protocol.ts";

export type CallOrigin =
  | "SyncWorker"
  | "HttpApi"
  | "HttpEndpoint"
  | "Scheduler"
  | "Cron"
  | "Action"
  | "Tester";

export type LogEntry =
  | {
    readonly kind: "completion";
    readonly functionKind: FunctionKind;
    /** `messages:list`, or `GET /x` for an HTTP action. */
    readonly identifier: string;
    readonly environment: "isolate" | "node";
    readonly logLines: readonly LogLine[];
    readonly timestampMs: number;
    readonly cached: boolean;
    readonly origin: CallOrigin;
    readonly requestId: string;
    readonly executionId: string;
    /** The action that called it. */
    readonly parentExecutionId?: string;
    readonly durationMs: number;
    readonly usage: ExecutionUsage | null;
    /** HTTP actions. */
    readonly status?: number;
    /** Rendered error, if it failed. */
    readonly error: string | null;
  }
  | {
    readonly kind: "progress";
    readonly functionKind: FunctionKind;
    readonly identifier: string;
    readonly logLines: readonly LogLine[];
    readonly timestampMs: number;
    readonly requestId: string;
    readonly executionId: string;
  };

/** Entries kept; older ones are overwritten. */
const entriesMax = 10_000;
/** Text kept, in characters, so that chatty functions do not fill the memory. */
const charactersMax = 16 * 1024 * 1024;
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

interface Slot {
  readonly cursor: number;
  readonly characters: number;
  readonly entry: LogEntry;
}

export class LogStore {
  readonly #environment: Environment;
  /** A ring: the oldest is at `#first`, `#count` are filled. */
  readonly #slots: (Slot | undefined)[] = new Array(entriesMax).fill(undefined);
  #first = 0;
  #count = 0;
  #characters = 0;
  #lastCursor = 0;
  #followedUntilMs = 0;
  readonly #waiting = new Set<() => void>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Whether somebody reads along; what is not worth keeping otherwise is worth adding then. */
  get isFollowed(): boolean {
    return this.#environment.nowMs() < this.#followedUntilMs;
  }

  append(entry: LogEntry): void {
    const cursor = Math.max(entry.timestampMs, this.#lastCursor + cursorStep);
    const characters = countCharacters(entry);
    this.#lastCursor = cursor;
    if (this.#count === entriesMax) this.#dropFirst();
    this.#slots[(this.#first + this.#count) % entriesMax] = { cursor, characters, entry };
    this.#count++;
    this.#characters += characters;
    while (this.#characters > charactersMax && this.#count > 1) this.#dropFirst();
    if (this.#waiting.size > 0) this.#wake();
  }

  /** What came after `cursor`; nothing waits. */
  after(cursor: number): LogPage {
    this.#followedUntilMs = this.#environment.nowMs() + followingMs;
    const entries: LogEntry[] = [];
    for (let position = this.#positionAfter(cursor); position < this.#count; position++) {
      entries.push(this.#slotAt(position).entry);
    }
    return { entries, cursor: entries.length === 0 ? cursor : this.#lastCursor };
  }

  /** As `after`, but waits for the first entry, at most `timeoutMs` and not beyond `signal`. */
  async waitAfter(cursor: number, timeoutMs: number, signal?: AbortSignal): Promise<LogPage> {
    const page = this.after(cursor);
    if (page.entries.length > 0 || signal?.aborted) return page;
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
    return this.after(cursor);
  }

  /** Where a reader begins who wants nothing but what is still to come. */
  get lastCursor(): number {
    return this.#lastCursor;
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #dropFirst(): void {
    this.#characters -= this.#slotAt(0).characters;
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

  #slotAt(position: number): Slot {
    return this.#slots[(this.#first + position) % entriesMax]!;
  }
}

function countCharacters(entry: LogEntry): number {
  let characters = 0;
  for (const { messages } of entry.logLines) {
    for (const message of messages) characters += message.length;
  }
  return entry.kind === "completion" && entry.error !== null
    ? characters + entry.error.length
    : characters;
}
