/**
 * Queries and mutations: each runs on a snapshot of its own, from beginning to end without another one in
 * between (ARCHITECTURE 3). A mutation also sees what earlier ones of this isolate wrote and nobody has
 * decided on yet, so that mutations of one lane need not wait for each other's commits.
 */
import type { CommitRequest } from "../src/committer/protocol.ts";
import { beginCronRun, completeCronRun } from "../src/database/cron_jobs.ts";
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
import type { FunctionFailure } from "../src/errors.ts";
import { debugName, type FunctionPath } from "../src/isolate/function_address.ts";
import type { CallOutcome, FunctionCall } from "../src/isolate/protocol.ts";
import type { HistoryReader } from "../src/persistence/persistence.ts";
import { parseArguments } from "./call_values.ts";
import type { DeploymentCode } from "./deployment_code.ts";
import { describeFailure, SystemFailure } from "./failure.ts";
import type { Deliver, FinishedCall } from "./finished_call.ts";
import { FunctionRun } from "./function_run.ts";
import { heapBytes } from "./heap_watch.ts";
import type { IsolateServices } from "./isolate_services.ts";
import { Log } from "./log.ts";
import { pause } from "./settle.ts";
import { TransactionBudgets } from "./transaction_budgets.ts";
import { addUsageWarnings } from "./usage_warnings.ts";

// Kept: user code sees others.
const monotonicNow = performance.now.bind(performance);
const getRandomValues = crypto.getRandomValues.bind(crypto);

/** A decision takes a millisecond or two; a disk that keeps it longer costs a conflict. */
const decisionDelayMs = 1;
const decisionAttemptsMax = 50;

export class TransactionCalls {
  readonly #services: IsolateServices;
  readonly #reader: HistoryReader;
  /** Own mutations that may still commit and may not be decided yet, oldest first. */
  #pending: readonly Undecided[] = [];
  #lastSequence = 0;
  /** The newest own mutation that wrote its commit timestamp, if it may not be decided yet. */
  #unresolved: number | null = null;

  constructor(services: IsolateServices, reader: HistoryReader) {
    this.#services = services;
    this.#reader = reader;
  }

  /** `args`: JSON text of the arguments array. */
  async run(
    callId: number,
    call: FunctionCall,
    deployment: DeploymentCode,
    args: string,
    deliver: Deliver,
  ): Promise<void> {
    const { heartbeat, limits, isolate, realm } = this.#services;
    const startedAt = monotonicNow();
    const snapshot = call.at === undefined
      ? this.#reader.open(isolate)
      : this.#reader.openAt(call.at, isolate);
    if (snapshot === undefined) return deliver(outOfRetention());
    this.#pending = this.#pending.filter(({ sequence }) => sequence > snapshot.decidedSequence);
    const log = new Log();
    const transaction = this.#begin(call, deployment, snapshot);
    const run = this.#functionRun(call, deployment, transaction, log);
    heartbeat.begin(callId, limits.functionTimeoutMs, limits.databaseTimeoutS * 1000);
    realm.enter(run.execution);
    const result = await this.#execute(call, args, transaction, run);
    const userTimeMs = limits.functionTimeoutMs - heartbeat.userMsLeft;
    if ("json" in result) {
      addUsageWarnings(log, {
        metrics: run.metrics(),
        largestWrites: transaction.largestWrites,
        argumentBytes: result.argumentBytes,
        resultBytes: run.resultBytes,
        scheduledArgumentBytes: run.largestJobArgumentBytes,
        userTimeMs,
        userTimeMsMax: limits.functionTimeoutMs,
      });
    }
    const outcome = this.#outcome(result, call, transaction, run);
    const { documentsRead, bytesRead, documentsWritten, bytesWritten } = transaction.usage;
    const durationMs = monotonicNow() - startedAt;
    const usage = {
      documentsRead,
      bytesRead,
      documentsWritten,
      bytesWritten,
      durationMs,
      heapBytes: heapBytes(),
    };
    const body = "json" in result ? result.json : "";
    deliver({ outcome, body, logLines: log.take(), usage });
    // Not before: a large result takes memory on its way out as well.
    heartbeat.end();
    snapshot.close();
  }

  async #execute(
    call: FunctionCall,
    args: string,
    transaction: Transaction,
    run: FunctionRun,
  ): Promise<Result> {
    try {
      const job = jobOf(call);
      if (job !== null) beginScheduledMutation(transaction, job);
      if (call.cronRun !== undefined) beginCronRun(transaction, call.cronRun);
      const validators = { args: call.args, returns: call.returns };
      const parsed = parseArguments(args, pathOf(call));
      return { json: await run.run(parsed.args, validators), argumentBytes: parsed.bytes };
    } catch (error) {
      if (SystemFailure.is(error)) this.#services.reportFault(error.cause);
      return { failure: describeFailure(error) };
    } finally {
      // User code is over. What it did to built-in objects must not disturb what follows, nor later calls.
      this.#services.realm.leave();
    }
  }

  #outcome(
    result: Result,
    call: FunctionCall,
    transaction: Transaction,
    run: FunctionRun,
  ): CallOutcome {
    const isQuery = call.kind === "query";
    if ("failure" in result) {
      const { failure } = result;
      return isQuery
        ? { kind: "failure", failure, ...observations(transaction, run), journal: keptJournal(run) }
        : this.#failedMutation(failure, call, transaction);
    }
    return isQuery
      ? { kind: "success", ...observations(transaction, run) }
      : { kind: "success", commit: this.#commit(call, transaction) };
  }

  /** Whether the call should wait for `decided`: it could not build on the mutation before it, and would conflict. */
  mustWait({ kind }: FunctionCall): boolean {
    return kind === "mutation" && this.#unresolved !== null;
  }

  /** Resolves when it is decided what became of own mutations, or when that takes long: conflicts are no harm. */
  async decided(): Promise<void> {
    for (
      let attempts = 0;
      this.#unresolved !== null && attempts < decisionAttemptsMax;
      attempts++
    ) {
      await pause(decisionDelayMs);
      const snapshot = this.#reader.open(this.#services.isolate);
      if (snapshot.decidedSequence >= (this.#unresolved ?? 0)) this.#unresolved = null;
      snapshot.close();
    }
    this.#unresolved = null;
  }

  /**
   * A mutation of this isolate did not commit. Later ones must not build on it, nor on those that did and so
   * cannot commit either; otherwise new mutations would for ever build on doomed ones before they are decided.
   */
  aborted(sequence: number): void {
    if (sequence === this.#unresolved) this.#unresolved = null;
    const lost = new Set([sequence]);
    this.#pending = this.#pending.filter(({ sequence, dependsOn }) => {
      if (!lost.has(sequence) && !dependsOn.some((other) => lost.has(other))) return true;
      lost.add(sequence);
      return false;
    });
  }

  #begin(call: FunctionCall, { manifest }: DeploymentCode, snapshot: Snapshot): Transaction {
    const { id, fileStorageSecret } = manifest;
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
    deployment: DeploymentCode,
    transaction: Transaction,
    log: Log,
  ): FunctionRun {
    const { importSeed, importTimeMs } = deployment.manifest;
    const { id: component, environment } = deployment.component(call.component);
    const { nowMs, seed, journal } = call;
    const kind = kindOf(call);
    const services = this.#services;
    const budgets = new TransactionBudgets(services.limits);
    return new FunctionRun({ services, deployment, call, budgets }, {
      kind,
      target: { component, path: pathOf(call), mustBePublic: false },
      transaction: transaction.ofComponent(component),
      execution: { kind, nowMs, seed, importSeed, importTimeMs, ...environment, log },
      journal,
      depth: 0,
    });
  }

  #commit(call: FunctionCall, transaction: Transaction): Omit<CommitRequest, "session"> {
    const job = jobOf(call);
    if (job !== null) completeScheduledMutation(transaction, job);
    if (call.cronRun !== undefined) completeCronRun(transaction, call.cronRun);
    const finished = transaction.finish();
    const commit = this.#commitOf(call, transaction, finished);
    const { writes, dependsOn } = finished;
    // One of them may have been lost while this one ran.
    const canCommit = dependsOn.every((other) =>
      this.#pending.some(({ sequence }) => sequence === other)
    );
    // A commit timestamp is not known before the decision, so nobody can build on what holds it.
    if (writes.isUnresolved === true) {
      this.#unresolved = commit.origin.sequence;
    } else if (writes.documents.length > 0 && canCommit) {
      const layer = transaction.toLayer(commit.origin.sequence);
      this.#pending = [...this.#pending, { ...layer, dependsOn }];
    }
    return commit;
  }

  #failedMutation(
    failure: FunctionFailure,
    call: FunctionCall,
    transaction: Transaction,
  ): CallOutcome {
    const snapshot = transaction.options.snapshot.timestamp;
    const finished = transaction.finish();
    if (finished.dependsOn.length === 0) return { kind: "failure", failure, snapshot };
    // What it failed on may never come about, so the failure counts only if that is committed.
    const nothing = { documents: [], tables: [] };
    const commit = this.#commitOf(call, transaction, { ...finished, writes: nothing });
    return { kind: "failure", failure, snapshot, commit };
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
}

/** The answer to a call at a timestamp whose state is not kept any more. */
function outOfRetention(): FinishedCall {
  const failure = {
    message: "The timestamp is too old: its state is not kept any more.",
    frames: [],
  };
  return {
    outcome: { kind: "failure", failure, isOutOfRetention: true },
    body: "",
    logLines: [],
    usage: { documentsRead: 0, bytesRead: 0, documentsWritten: 0, bytesWritten: 0, durationMs: 0 },
  };
}

interface Undecided extends PendingLayer {
  /** Sequence numbers of those that it built on. */
  readonly dependsOn: readonly number[];
}

type Result =
  | { readonly json: string; readonly argumentBytes: number }
  | { readonly failure: FunctionFailure };

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

/** A query that failed before it came to its page has not forgotten where that ends. */
function keptJournal({ journal }: FunctionRun): string | null {
  return journal.result ?? journal.given;
}

/** What a query's result depends on. */
function observations(transaction: Transaction, { execution, journal }: FunctionRun) {
  return {
    snapshot: transaction.options.snapshot.timestamp,
    reads: transaction.finish().reads,
    journal: journal.result,
    observed: {
      time: execution.observedTime,
      identity: execution.observedIdentity,
      variables: namesOf(execution.observedVariables),
    },
  };
}

const { keys: keysOf } = Object; // kept: user code may replace it

function namesOf(variables: Readonly<Record<string, true>> | null): readonly string[] | null {
  return variables && keysOf(variables);
}
