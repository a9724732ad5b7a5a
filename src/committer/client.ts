/** The committer as the main thread uses it: `CommitterClient` over messages to the committer's thread. */
import { assert, unreachable } from "../assert.ts";
import { settings } from "../config.ts";
import type { CatalogData, IndexId } from "../database/catalog.ts";
import { type Timestamp, zeroTimestamp } from "../database/timestamp.ts";
import { logFormat } from "../logger.ts";
import type { DocumentImport } from "../persistence/document_import.ts";
import type { CatalogChange } from "../persistence/persistence.ts";
import { moduleUrl } from "../program_files.ts";
import { decodeError, type FromCommitter, type TimedWork, type ToCommitter } from "./messages.ts";
import type {
  AppliedCommit,
  CommitOutcome,
  CommitRequest,
  CommitterClient,
  ServerWrites,
} from "./protocol.ts";
import type { CommitterStart } from "./worker.ts";

/**
 * Opens the database of a data folder, created if there is none, and starts its committer.
 * @throws PersistenceError when the folder cannot be used; the message says why, and what to do.
 */
export async function startCommitter(
  dataFolder: string,
  { historyS = settings.historyS.defaultValue, flushes = true, onTimed }: CommitterOptions = {},
): Promise<CommitterClient> {
  const worker = new Worker(moduleUrl("committer"), { type: "module" });
  const { port1, port2 } = new MessageChannel();
  const client = new ThreadCommitterClient((messages) => port1.postMessage(messages), onTimed);
  port1.onmessage = ({ data }: MessageEvent<readonly FromCommitter[]>) => client.receive(data);
  worker.onerror = (event) => {
    event.preventDefault();
    client.fail(new Error(`The committer's thread failed: ${event.message}`));
  };
  client.ended.then(() => {
    port1.close();
    worker.terminate();
  });
  const historyAgeMax = historyS * 1_000_000;
  const start: CommitterStart = {
    ...{ dataFolder, historyAgeMax, flushes },
    ...{ port: port2, logFormat: logFormat() },
  };
  worker.postMessage(start, [port2]);
  await client.opened;
  return client;
}

export interface CommitterOptions {
  /** `Config.historyS`. */
  readonly historyS?: number;
  /** False for data that shall not outlive its server: then nothing waits for the disk. */
  readonly flushes?: boolean;
  readonly onTimed?: OnTimed;
}

/** Told how long each piece of the thread's work took. */
type OnTimed = (what: TimedWork, durationMs: number) => void;

interface CatalogChanged {
  readonly timestamp: Timestamp;
  readonly catalog: CatalogData;
}

/** A request that is not answered yet. */
interface Pending {
  readonly resolve: (answer: CommitOutcome | CatalogChanged) => void;
  readonly reject: (error: Error) => void;
}

interface DurabilityWaiter {
  readonly timestamp: Timestamp;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class ThreadCommitterClient implements CommitterClient {
  readonly #send: (messages: readonly ToCommitter[]) => void;
  readonly #onTimed: OnTimed;
  readonly #opened = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  #applied = zeroTimestamp;
  #durable = zeroTimestamp;
  readonly #appliedListeners: ((commits: readonly AppliedCommit[]) => void)[] = [];
  readonly #fatalListeners: ((error: Error) => void)[] = [];
  #nextId = 1;
  readonly #pending = new Map<number, Pending>();
  #waiters: DurabilityWaiter[] = [];
  /** What this turn has to say; sent at its end. */
  #outbox: ToCommitter[] = [];
  /** Why there is no answer to anything any more. */
  #end: Error | undefined;

  /** `receive` must be called with all that comes back. */
  constructor(send: (messages: readonly ToCommitter[]) => void, onTimed: OnTimed = () => {}) {
    this.#send = send;
    this.#onTimed = onTimed;
  }

  /** Resolves when the database is open; rejects with the PersistenceError that prevents it. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Resolves when nothing will come any more: it was closed, or has failed. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get appliedTimestamp(): Timestamp {
    return this.#applied;
  }

  get durableTimestamp(): Timestamp {
    return this.#durable;
  }

  commit(request: CommitRequest): Promise<CommitOutcome> {
    return this.#request<CommitOutcome>((id) => ({ type: "commit", id, request }));
  }

  async changeCatalog(
    change: CatalogChange,
    onVisible?: () => void,
    documents?: ServerWrites,
  ): Promise<CatalogChanged> {
    return await this.#durableChange(
      (id) => ({ type: "changeCatalog", id, change, ...documents && { documents } }),
      onVisible,
    );
  }

  async importDocuments(
    change: DocumentImport,
    path: string,
    documents: ServerWrites,
    onVisible: () => void,
  ): Promise<CatalogChanged> {
    return await this.#durableChange(
      (id) => ({ type: "importDocuments", id, change, path, documents }),
      onVisible,
    );
  }

  async backfill(indexes: readonly IndexId[]): Promise<void> {
    await this.#durableChange((id) => ({ type: "backfill", id, indexes }));
  }

  async #durableChange(
    message: (id: number) => ToCommitter,
    onVisible?: () => void,
  ): Promise<CatalogChanged> {
    const changed = await this.#request<CatalogChanged>(message);
    onVisible?.();
    await this.durable(changed.timestamp);
    return changed;
  }

  #request<Answer extends CommitOutcome | CatalogChanged>(
    message: (id: number) => ToCommitter,
  ): Promise<Answer> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as Pending["resolve"], reject });
      this.#post(message(id));
    });
  }

  #post(message: ToCommitter): void {
    if (this.#outbox.push(message) > 1) return;
    queueMicrotask(() => {
      this.#send(this.#outbox);
      this.#outbox = [];
    });
  }

  durable(timestamp: Timestamp): Promise<void> {
    if (timestamp <= this.#durable) return Promise.resolve();
    if (this.#end !== undefined) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => this.#waiters.push({ timestamp, resolve, reject }));
  }

  onApplied(listener: (commits: readonly AppliedCommit[]) => void): void {
    this.#appliedListeners.push(listener);
  }

  onFatal(listener: (error: Error) => void): void {
    this.#fatalListeners.push(listener);
  }

  async close(): Promise<void> {
    if (this.#end === undefined) this.#post({ type: "close" });
    await this.ended;
  }

  /** Takes in what one post of the thread carries. */
  receive(messages: readonly FromCommitter[]): void {
    for (const message of messages) this.#receive(message);
  }

  #receive(message: FromCommitter): void {
    switch (message.type) {
      case "opened":
        this.#applied = this.#durable = message.timestamp;
        return this.#opened.resolve();
      case "applied":
        this.#applied = message.commits.at(-1)!.timestamp;
        for (const listener of this.#appliedListeners) listener(message.commits);
        return;
      case "durable":
        return this.#becameDurable(message.timestamp);
      case "decided":
        return this.#take(message.id).resolve(message.outcome);
      case "catalogChanged": {
        const { id, timestamp, catalog } = message;
        return this.#take(id).resolve({ timestamp, catalog });
      }
      case "failed":
        return this.#take(message.id).reject(decodeError(message.error));
      case "timed":
        return this.#onTimed(message.what, message.durationMs);
      case "fatal":
        return this.fail(decodeError(message.error));
      case "closed":
        return this.#finish(new Error("The committer is closed."));
      default:
        unreachable(message);
    }
  }

  #take(id: number): Pending {
    const pending = this.#pending.get(id);
    assert(pending !== undefined, "the committer answers each request once");
    this.#pending.delete(id);
    return pending;
  }

  #becameDurable(timestamp: Timestamp): void {
    this.#durable = timestamp;
    const waiters = this.#waiters;
    this.#waiters = waiters.filter((waiter) => waiter.timestamp > timestamp);
    for (const waiter of waiters) if (waiter.timestamp <= timestamp) waiter.resolve();
  }

  /** The thread is lost, or the database is. */
  fail(error: Error): void {
    if (this.#end !== undefined) return;
    this.#opened.reject(error);
    this.#finish(error);
    for (const listener of this.#fatalListeners) listener(error);
  }

  /** Leaves nobody waiting. */
  #finish(error: Error): void {
    this.#end = error;
    for (const { reject } of [...this.#pending.values(), ...this.#waiters]) reject(error);
    this.#pending.clear();
    this.#waiters = [];
    this.#ended.resolve();
  }
}
