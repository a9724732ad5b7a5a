/**
 * All that happens on the committer's thread, without the thread: messages in, messages out.
 *
 * Everything that has arrived together is handled in one turn and answered with one post, before it is on
 * disk. Then the log is flushed, while further turns go on:
 *
 *     turn      ──▪A──▪B──▪C──────────▪D────────
 *     flush        └──A──┘└───B, C───┘└──D──┘
 *     posts       A  B  C A           D  B,C    D       upper case: visible; then durable
 *
 * Filling indexes and house-keeping are cut into steps, and take turns with messages.
 */
import { unreachable } from "../assert.ts";
import type { Timestamp } from "../database/timestamp.ts";
import type { Environment } from "../environment.ts";
import { log } from "../logger.ts";
import { readImportedDocuments } from "../persistence/document_import.ts";
import type { PersistenceWriter } from "../persistence/persistence.ts";
import { leftNoTrace } from "../persistence/persistence_error.ts";
import { lowestKey } from "../values/index_key.ts";
import { type Backfill, type CatalogChanged, Committer } from "./committer.ts";
import { encodeError, type FromCommitter, type TimedWork, type ToCommitter } from "./messages.ts";
import type { AppliedCommit } from "./protocol.ts";

/** House-keeping after a commit waits this long, so that many commits share it; in milliseconds. */
const houseKeepingDelayMs = 10;

type Post = (messages: readonly FromCommitter[]) => void;
type CommitMessage = ToCommitter & { readonly type: "commit" };

export class CommitterService {
  readonly #persistence: PersistenceWriter;
  readonly #environment: Environment;
  readonly #post: Post;
  readonly #committer: Committer;
  /** What this turn has to say; posted at its end. */
  #outbox: FromCommitter[] = [];
  #durable: Timestamp;
  /** The flush in progress, with all that follow it directly. */
  #syncing: Promise<void> | undefined;
  /** By the id of the request. They take turns. */
  readonly #backfills = new Map<number, Backfill>();
  #cancelWork: (() => void) | undefined;
  #stopped = false;

  constructor(persistence: PersistenceWriter, environment: Environment, post: Post) {
    this.#persistence = persistence;
    this.#environment = environment;
    this.#post = post;
    this.#committer = new Committer(persistence, environment);
    this.#durable = persistence.lastTimestamp;
    post([{ type: "opened", timestamp: this.#durable }]);
    this.#scheduleWork();
  }

  receive(messages: readonly ToCommitter[]): void {
    this.#turn(() => {
      let group: CommitMessage[] = [];
      for (const message of messages) {
        if (message.type === "commit") {
          group.push(message);
        } else {
          this.#commit(group);
          group = [];
          this.#handle(message);
        }
      }
      this.#commit(group);
    });
  }

  /** Runs `body`, posts what it leaves in the outbox, and sees to it that what it applied is flushed. */
  #turn(body: () => void): void {
    if (this.#stopped) return;
    try {
      body();
    } catch (error) {
      this.#fail(error);
    }
    if (this.#outbox.length > 0) this.#post(this.#outbox);
    this.#outbox = [];
    if (!this.#stopped) this.#sync();
  }

  #commit(messages: readonly CommitMessage[]): void {
    if (messages.length === 0) return;
    const startedMs = this.#environment.monotonicMs();
    const { outcomes, commits } = this.#committer.commit(messages.map(({ request }) => request));
    this.#applied(commits);
    this.#outbox.push(this.#timed("group", startedMs));
    for (const [i, { id }] of messages.entries()) {
      const outcome = outcomes[i]!;
      if (outcome instanceof Error) this.#failed(id, outcome);
      else this.#outbox.push({ type: "decided", id, outcome });
    }
  }

  #applied(commits: readonly AppliedCommit[]): void {
    if (commits.length === 0) return;
    this.#outbox.push({ type: "applied", commits });
    this.#scheduleWork();
  }

  #handle(message: Exclude<ToCommitter, CommitMessage>): void {
    switch (message.type) {
      case "changeCatalog": {
        const { id, change, documents } = message;
        this.#answer(id, () => this.#committer.changeCatalog(change, documents));
        return;
      }
      case "importDocuments": {
        const { id, change, path, documents } = message;
        const imported = readImportedDocuments(path);
        this.#answer(id, () => this.#committer.importDocuments(change, imported, documents));
        return;
      }
      case "backfill":
        this.#backfills.set(message.id, { indexes: message.indexes, after: lowestKey });
        return this.#scheduleWork();
      case "close":
        this.#close();
        return;
      default:
        unreachable(message);
    }
  }

  /** Answers a request with the change that `attempt` makes or with its error; false if it makes none yet. */
  #answer(id: number, attempt: () => CatalogChanged | undefined): boolean {
    try {
      const changed = attempt();
      if (changed === undefined) return false;
      const { catalog, commit } = changed;
      this.#applied([commit]);
      this.#outbox.push({ type: "catalogChanged", id, timestamp: commit.timestamp, catalog });
    } catch (error) {
      if (!leftNoTrace(error)) throw error;
      this.#failed(id, error);
    }
    return true;
  }

  #failed(id: number, error: unknown): void {
    this.#outbox.push({ type: "failed", id, error: encodeError(error) });
  }

  /** Flushes until everything that is visible is on disk. */
  #sync(): Promise<void> {
    return this.#syncing ??= this.#syncAll().finally(() => this.#syncing = undefined);
  }

  async #syncAll(): Promise<void> {
    try {
      while (this.#durable < this.#persistence.lastTimestamp) {
        const timestamp = this.#persistence.lastTimestamp;
        const startedMs = this.#environment.monotonicMs();
        await this.#persistence.sync();
        this.#durable = timestamp;
        this.#post([{ type: "durable", timestamp }, this.#timed("sync", startedMs)]);
      }
    } catch (error) {
      this.#turn(() => {
        throw error;
      });
    }
  }

  #timed(what: TimedWork, startedMs: number): FromCommitter {
    return { type: "timed", what, durationMs: this.#environment.monotonicMs() - startedMs };
  }

  #scheduleWork(): void {
    const delayMs = this.#backfills.size > 0 ? 0 : houseKeepingDelayMs;
    this.#cancelWork ??= this.#environment.setTimer(delayMs, () => {
      this.#cancelWork = undefined;
      this.#turn(() => this.#work());
    });
  }

  /** One step of each kind of work that may wait. */
  #work(): void {
    const isIdle = this.#maintain();
    const [backfill] = this.#backfills;
    if (backfill !== undefined) this.#backfill(...backfill);
    if (!isIdle || this.#backfills.size > 0) this.#scheduleWork();
  }

  #maintain(): boolean {
    try {
      return this.#committer.maintain();
    } catch (error) {
      if (!leftNoTrace(error)) throw error;
      log("warn", "House-keeping of the database failed and will be tried again", { error });
      return true;
    }
  }

  #backfill(id: number, backfill: Backfill): void {
    this.#backfills.delete(id);
    const answered = this.#answer(id, () => this.#committer.backfill(backfill));
    if (!answered) this.#backfills.set(id, backfill);
  }

  async #close(): Promise<void> {
    await this.#sync();
    if (this.#stopped) return;
    this.#stop();
    this.#persistence.close();
    this.#post([{ type: "closed" }]);
  }

  #fail(error: unknown): void {
    this.#stop();
    this.#outbox.push({ type: "fatal", error: encodeError(error) });
  }

  #stop(): void {
    this.#stopped = true;
    this.#cancelWork?.();
  }
}
