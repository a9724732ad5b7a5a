/**
 * One life of a server, from its start on what a predecessor left to its crash: the real committer service
 * and client, with delays between them, over persistence in memory; and isolates.
 */
import type { CommittedTransaction, PersistenceWriter } from "../../src/persistence/persistence.ts";
import { ThreadCommitterClient } from "../../src/committer/client.ts";
import type { FromCommitter, ToCommitter } from "../../src/committer/messages.ts";
import type { CommitOutcome, CommitRequest } from "../../src/committer/protocol.ts";
import { CommitterService } from "../../src/committer/service.ts";
import type { Timestamp } from "../../src/database/timestamp.ts";
import { Lanes } from "../../src/functions/lanes.ts";
import type { MemoryPersistence } from "../../src/persistence/memory.ts";
import { PersistenceError } from "../../src/persistence/persistence_error.ts";
import type { SeededRandom } from "../support/random.ts";
import { SimulatedIsolate } from "./simulated_isolate.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** What of a server can be broken on purpose, to see that the simulation notices. */
export interface Sabotage {
  /** Changes what the committer is asked; `committed` are the transactions that did commit, as `isolate:sequence`. */
  request?(request: CommitRequest, committed: ReadonlySet<string>): CommitRequest;
  /** Changes the disk under the committer. */
  writer?(writer: PersistenceWriter): void;
  /** Clients are answered before their mutation is on disk. */
  readonly answersEarly?: boolean;
}

export interface ServerOptions {
  readonly time: VirtualTime;
  readonly random: SeededRandom;
  readonly persistence: MemoryPersistence;
  /** How many; numbered from one again in each life. */
  readonly isolates: number;
  readonly sabotage: Sabotage;
  readonly onApplied: (transaction: CommittedTransaction) => void;
}

export class SimulatedServer {
  readonly client: ThreadCommitterClient;
  readonly isolates: readonly SimulatedIsolate[];
  readonly lanes: Lanes;
  isDown = false;
  readonly #committed = new Set<string>();
  readonly #options: ServerOptions;

  constructor(options: ServerOptions) {
    const { time, persistence, isolates, sabotage } = this.#options = options;
    this.lanes = new Lanes(time);
    const writer = this.#recording(persistence.openWriter());
    sabotage.writer?.(writer);
    persistence.faults.sync = () => this.#sync();
    persistence.faults.transaction = () => {
      this.#failSometimes(0.02, "DiskFull");
      this.#failSometimes(0.002, "Failed");
    };
    const toService = this.#channel<ToCommitter>((messages) => service.receive(messages));
    const toClient = this.#channel<FromCommitter>((messages) => this.client.receive(messages));
    this.client = new ThreadCommitterClient(toService);
    this.client.onFatal(() => this.isDown = true);
    const service: CommitterService = new CommitterService(writer, time, toClient);
    this.isolates = Array.from(
      { length: isolates },
      (_, i) => new SimulatedIsolate(i + 1, persistence.openReader(), time),
    );
  }

  async commit(request: CommitRequest): Promise<CommitOutcome> {
    const { sabotage } = this.#options;
    return await this.client.commit(sabotage.request?.(request, this.#committed) ?? request);
  }

  async durable(timestamp: Timestamp): Promise<void> {
    if (!this.#options.sabotage.answersEarly) await this.client.durable(timestamp);
  }

  /** Waits for up to `maxMs`. */
  delay(maxMs = 20): Promise<void> {
    const { time, random } = this.#options;
    return new Promise((resolve) => time.setTimer(random.integer(maxMs + 1), resolve));
  }

  /** Calls `receive` with what is sent, in order, later, and sometimes several posts as one. */
  #channel<Message>(
    receive: (messages: readonly Message[]) => void,
  ): (messages: readonly Message[]) => void {
    const { time, random } = this.#options;
    const waiting: (readonly Message[])[] = [];
    const deliver = () => {
      if (this.isDown || waiting.length === 0) return;
      const posts = waiting.splice(0, 1 + random.integer(waiting.length));
      receive(posts.flat());
    };
    return (messages) => {
      waiting.push(messages);
      time.setTimer(random.integer(6), deliver);
    };
  }

  async #sync(): Promise<void> {
    await this.delay(10);
    this.#failSometimes(0.002, "Failed");
  }

  #failSometimes(probability: number, code: "DiskFull" | "Failed"): void {
    const { random } = this.#options;
    if (random.next() < probability) throw new PersistenceError(code, "simulated fault");
  }

  #recording(writer: PersistenceWriter): PersistenceWriter {
    const apply = writer.apply.bind(writer);
    writer.apply = (batch) => {
      apply(batch);
      for (const transaction of batch) {
        const { origin } = transaction;
        if (origin !== undefined) this.#committed.add(`${origin.isolate}:${origin.sequence}`);
        this.#options.onApplied(transaction);
      }
    };
    return writer;
  }
}
