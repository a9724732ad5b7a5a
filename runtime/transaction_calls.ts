/**
 * Queries and mutations: each runs on a snapshot of its own, from beginning to end without another one in
 * between (ARCHITECTURE 3). A mutation also sees what earlier ones of this isolate wrote and nobody has
 * decided on yet, so that mutations of one lane need not wait for each other's commits.
 */
import {
  beginScheduledMutation,
  completeScheduledMutation,
} from "../src/database/scheduled_jobs.ts";
import type { Snapshot } from "../src/database/snapshot.ts";
import {
  type FinishedTransaction,
  type PendingLayer,
  Transaction,
} from "../src/database/transaction.ts";
import type { CallOutcome, FunctionCall } from "../src/isolate/protocol.ts";
import type { SnapshotReader } from "../src/persistence/persistence.ts";
import { parseArguments } from "./call_arguments.ts";
import { describeFailure, SystemFailure } from "./failure.ts";
import type { FinishedCall } from "./finished_call.ts";
import { debugName, type FunctionPath } from "./function_address.ts";
import { FunctionRun } from "./function_run.ts";
import type { IsolateServices } from "./isolate_services.ts";
import { Log } from "./log.ts";
import type { ModuleLoader } from "./module_loader.ts";
import { TransactionBudgets } from "./transaction_budgets.ts";
import { addUsageWarnings } from "./usage_warnings.ts";

// Kept: user code sees others.
const monotonicNow = performance.now.bind(performance);
const getRandomValues = crypto.getRandomValues.bind(crypto);

export class TransactionCalls {
  readonly #services: IsolateServices;
  readonly #reader: SnapshotReader;
  /** Own mutations that may not be decided yet, oldest first. */
  #pending: readonly PendingLayer[] = [];
  #lastSequence = 0;

  constructor(services: IsolateServices, reader: SnapshotReader) {
    this.#services = services;
    this.#reader = reader;
  }

  /** `args`: JSON text of the arguments array. Never rejects. */
  async run(
    callId: number,
    call: FunctionCall,
    loader: ModuleLoader,
    args: string,
  ): Promise<FinishedCall> {
    const { heartbeat, limits, isolate, realm } = this.#services;
    const startedAt = monotonicNow();
    const snapshot = this.#reader.open(isolate);
    this.#pending = this.#pending.filter(({ sequence }) => sequence > snapshot.decidedSequence);
    const log = new Log();
    const transaction = this.#begin(call, loader, snapshot);
    const run = this.#functionRun(call, loader, transaction, log);
    heartbeat.begin(callId, limits.functionTimeoutMs, limits.databaseTimeoutS * 1000);
    realm.enter(run.execution);
    let outcome: CallOutcome;
    let body = "";
    try {
      const validators = { args: call.args, returns: call.returns };
      const job = jobOf(call);
      if (job !== null) beginScheduledMutation(transaction, job);
      body = await run.run(parseArguments(args, pathOf(call)), validators);
      if (job !== null) completeScheduledMutation(transaction, job);
      addUsageWarnings(log, run.metrics());
      outcome = this.#success(call, transaction, run);
    } catch (error) {
      outcome = this.#failure(error, call, transaction, run);
    } finally {
      realm.leave();
      snapshot.close();
      heartbeat.end();
    }
    const { documentsRead, bytesRead, documentsWritten, bytesWritten } = transaction.usage;
    const durationMs = monotonicNow() - startedAt;
    const usage = { documentsRead, bytesRead, documentsWritten, bytesWritten, durationMs };
    return { outcome, body, logLines: log.take(), usage };
  }

  /** A mutation of this isolate did not commit: later ones must not build on it. */
  aborted(sequence: number): void {
    this.#pending = this.#pending.filter((layer) => layer.sequence !== sequence);
  }

  #begin(call: FunctionCall, loader: ModuleLoader, snapshot: Snapshot): Transaction {
    const { id, fileStorageSecret } = loader.manifest;
    return new Transaction({
      snapshot,
      kind: kindOf(call),
      limits: this.#services.limits,
      nowMs: call.nowMs,
      randomBytes: (length) => getRandomValues(new Uint8Array(length)),
      cursorKey: fileStorageSecret ?? id,
      pending: call.kind === "mutation" ? this.#pending : [],
    });
  }

  #functionRun(
    call: FunctionCall,
    loader: ModuleLoader,
    transaction: Transaction,
    log: Log,
  ): FunctionRun {
    const { importSeed, importTimeMs, environmentVariables } = loader.manifest;
    const { nowMs, seed, journal } = call;
    const kind = kindOf(call);
    const services = this.#services;
    const budgets = new TransactionBudgets(services.limits);
    return new FunctionRun({ services, loader, call, budgets }, {
      kind,
      path: pathOf(call),
      transaction,
      execution: { kind, nowMs, seed, importSeed, importTimeMs, environmentVariables, log },
      journal,
      depth: 0,
    });
  }

  #success(call: FunctionCall, transaction: Transaction, run: FunctionRun): CallOutcome {
    if (call.kind === "query") return { kind: "success", ...observations(transaction, run) };
    const finished = transaction.finish();
    const commit = this.#commitOf(call, transaction, finished);
    if (finished.writes.documents.length > 0) {
      this.#pending = [...this.#pending, transaction.toLayer(commit.origin.sequence)];
    }
    return { kind: "success", commit };
  }

  #commitOf(call: FunctionCall, transaction: Transaction, finished: FinishedTransaction) {
    const { snapshot } = transaction.options;
    const { reads, writes, dependsOn } = finished;
    return {
      snapshot: snapshot.timestamp,
      structureVersion: snapshot.catalog.data.structureVersion,
      reads,
      writes,
      origin: { isolate: this.#services.isolate, sequence: ++this.#lastSequence },
      source: debugName(pathOf(call)),
      dependsOn,
    };
  }

  #failure(
    error: unknown,
    call: FunctionCall,
    transaction: Transaction,
    run: FunctionRun,
  ): CallOutcome {
    if (error instanceof SystemFailure) this.#services.reportFault(error.cause);
    const failure = describeFailure(error);
    if (call.kind === "query") {
      return { kind: "failure", failure, ...observations(transaction, run) };
    }
    const snapshot = transaction.options.snapshot.timestamp;
    const finished = transaction.finish();
    if (finished.dependsOn.length === 0) return { kind: "failure", failure, snapshot };
    // What it failed on may never come about.
    const nothing = { documents: [], tables: [] };
    const commit = this.#commitOf(call, transaction, { ...finished, writes: nothing });
    return { kind: "failure", failure, snapshot, commit };
  }
}

function kindOf({ kind }: FunctionCall): "query" | "mutation" {
  return kind === "query" ? "query" : "mutation";
}

function pathOf(call: FunctionCall): FunctionPath {
  return { module: call.module, export: call.export };
}

/** The job that this call is. */
function jobOf({ isScheduledJob, scheduledFunctionId }: FunctionCall): string | null {
  return isScheduledJob === true ? scheduledFunctionId ?? null : null;
}

/** What a query's result depends on. */
function observations(transaction: Transaction, { execution, journal }: FunctionRun) {
  return {
    snapshot: transaction.options.snapshot.timestamp,
    reads: transaction.finish().reads,
    journal: journal.result,
    observed: { time: execution.observedTime, identity: execution.observedIdentity },
  };
}
