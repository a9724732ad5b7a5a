/**
 * Always one executor of a kind to start isolates on, from the first one on. A process that died is replaced when
 * the next isolate is started. Two kinds take no more isolates and end with their last one:
 *
 * - one that has grown too large: creating and ending threads leaks a little, and user code can hold memory in
 *   ways that outlive a call;
 * - one in which a call was cut off: ending a thread does not stop code that is busy (Deno 2.9.6), so it would
 *   keep a core and its snapshot of the database for as long as the process lives.
 */
import type { Environment } from "../environment.ts";
import { Executor, type ExecutorSettings } from "./executor.ts";
import { idleIsolateMiB } from "./isolate_data.ts";
import type { Isolate, IsolateListener } from "./isolate.ts";

/** Share of an executor's memory at which it is replaced. */
const recycleShare = 0.5;
/** Between attempts to start a process that ended before it served, in milliseconds; doubles up to the second. */
const startDelaysMs = [100, 5000] as const;

export class Executors {
  readonly #settings: ExecutorSettings;
  /** Called when the current isolates should be replaced by new ones, on another process. */
  readonly #outgrown: () => void;
  #current: Executor | null = null;
  readonly #all = new Set<Executor>();
  #nextIsolate: number;
  /** Processes in a row that ended before they served. */
  #failures = 0;
  #closing = false;

  constructor(settings: ExecutorSettings, outgrown: () => void) {
    this.#settings = settings;
    this.#outgrown = outgrown;
    this.#nextIsolate = firstIsolateNumber(settings.environment);
  }

  spawn(listener: IsolateListener): Isolate {
    this.#current ??= this.#start();
    return this.#current.spawn(this.#nextIsolate++, listener);
  }

  get processIds(): readonly number[] {
    return [...this.#all].flatMap(({ pid }) => pid === null ? [] : [pid]);
  }

  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#all].map((executor) => executor.close()));
  }

  #start(): Executor {
    const [first, longest] = startDelaysMs;
    const delay = this.#failures === 0 ? 0 : Math.min(first * 2 ** (this.#failures - 1), longest);
    const executor = new Executor(this.#settings, {
      memory: (executor, residentBytes) => this.#checkMemory(executor, residentBytes),
      cutOff: (executor) => this.#replace(executor),
      exited: (executor) => this.#exited(executor),
    }, delay);
    this.#all.add(executor);
    return executor;
  }

  #exited(executor: Executor): void {
    this.#all.delete(executor);
    if (this.#current === executor) this.#current = null;
    this.#failures = executor.wasReady ? 0 : this.#failures + 1;
  }

  #checkMemory(executor: Executor, residentBytes: number): void {
    const limitMiB = this.#settings.config.executorMemoryMiB * recycleShare +
      executor.isolateCount * idleIsolateMiB;
    if (residentBytes >= limitMiB * 1024 * 1024) this.#replace(executor);
  }

  #replace(executor: Executor): void {
    if (executor !== this.#current || this.#closing) return;
    this.#current = null;
    executor.retire();
    this.#outgrown();
  }
}

/**
 * Isolate numbers are part of what commits record, so they must differ from those of the server's earlier lives:
 * counting starts somewhere else each time. They have 32 bits.
 */
function firstIsolateNumber(environment: Environment): number {
  return 1 + Math.floor(environment.random() * 2 ** 31);
}
