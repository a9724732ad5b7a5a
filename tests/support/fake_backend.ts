/**
 * Isolates and a committer in memory, for tests of what lies above them. Documents are texts under keys of
 * one index; functions are closures of the test that read and write them.
 */
import { setImmediate } from "node:timers";
import type {
  AppliedCommit,
  CommitOutcome,
  CommitRequest,
  CommitterClient,
} from "../../src/committer/protocol.ts";
import type { IndexId, TableNumber } from "../../src/database/catalog.ts";
import { type ReadSet, readSetContains } from "../../src/database/read_set.ts";
import type { Timestamp } from "../../src/database/timestamp.ts";
import type { DocumentWrite, IndexPoint } from "../../src/database/write_set.ts";
import type { DeploymentRecord } from "../../src/deploy/deployment.ts";
import { FunctionError, type FunctionFailure } from "../../src/errors.ts";
import type {
  ActionHost,
  CallResult,
  Isolates,
  TransactionOptions,
} from "../../src/isolate/isolates.ts";
import type {
  AnalyzedModule,
  DeploymentManifest,
  FunctionCall,
  LogLine,
  UserIdentity,
} from "../../src/isolate/protocol.ts";
import type { SessionRecord } from "../../src/persistence/persistence.ts";
import type { IndexKey } from "../../src/values/index_key.ts";
import { parseFunctionPath } from "../../src/functions/function_path.ts";

const documents = 1 as IndexId;
const firstTimestamp = 1_000_000 as Timestamp;
const encoder = new TextEncoder();
const noUsage = {
  documentsRead: 0,
  bytesRead: 0,
  documentsWritten: 0,
  bytesWritten: 0,
  durationMs: 1,
};

/** What a function of a test is given. Values are JSON texts. */
export interface FakeContext {
  readonly args: string;
  /** Reads one document; "null" if there is none. */
  read(key: string): string;
  /** Texts of all documents from `lower` up to but not including `upper`. */
  scan(lower: string, upper: string): string[];
  write(key: string, json: string): void;
  /** Observes the identity. */
  identity(): UserIdentity | null;
  /** Observes the time. */
  now(): number;
  print(text: string): void;
  /** From now on a failure has to be confirmed, as if it followed from writes that are not decided. */
  dependOnUndecided(): void;
  /** For queries that paginate: what they were given, and what they return. */
  journal: string | null;
  readonly call: FunctionCall;
  /** Of actions. */
  readonly host: ActionHost;
}

export type FakeHandler = (context: FakeContext) => string | Promise<string>;

export interface FakeFunction {
  readonly type: "Query" | "Mutation" | "Action";
  readonly handler: FakeHandler;
  readonly isInternal?: boolean;
}

export const query = (handler: FakeHandler): FakeFunction => ({ type: "Query", handler });
export const mutation = (handler: FakeHandler): FakeFunction => ({ type: "Mutation", handler });
export const action = (handler: FakeHandler): FakeFunction => ({ type: "Action", handler });

/** Thrown by a handler: the function fails with exactly this. */
export function fail(message: string, data?: string): never {
  const failure: FunctionFailure = { message, frames: ["    at handler (../convex/a.ts:1:2)"] };
  throw new FunctionError(data === undefined ? failure : { ...failure, data });
}

/** Thrown by a handler: the isolate is lost without a word. */
export class LostIsolate extends Error {}

export class FakeBackend implements Isolates, CommitterClient {
  /** Every call that was run, in order, as `path`. */
  readonly calls: string[] = [];
  readonly lanes: (string | undefined)[] = [];
  readonly retired: string[] = [];
  readonly abortedSequences: number[] = [];
  commits = 0;
  /** States before it are not kept. */
  historyStart: Timestamp = firstTimestamp;
  /** While set, commits are applied but do not reach the disk. */
  isDiskStuck = false;

  #applied: Timestamp = firstTimestamp;
  #durable: Timestamp = firstTimestamp;
  readonly #revisions = new Map<string, { timestamp: Timestamp; json: string }[]>();
  readonly #log: AppliedCommit[] = [];
  readonly #records = new Map<string, SessionRecord>();
  readonly #listeners: ((commits: readonly AppliedCommit[]) => void)[] = [];
  #waitingForDisk: { timestamp: Timestamp; resolve: () => void }[] = [];
  readonly #deployments = new Map<string, Readonly<Record<string, FakeFunction>>>();
  #sequence = 0;

  /** A deployment of these functions, by path. */
  deployment(
    functions: Readonly<Record<string, FakeFunction>>,
    httpRoutes: AnalyzedModule["httpRoutes"] = null,
  ): [DeploymentRecord, DeploymentManifest] {
    const id = `deployment ${this.#deployments.size}`;
    this.#deployments.set(id, functions);
    return [recordOf(id, functions, httpRoutes), {
      id,
      modules: [],
      environmentVariables: {},
      importSeed: "",
      importTimeMs: 0,
    }];
  }

  // Committer

  get appliedTimestamp(): Timestamp {
    return this.#applied;
  }

  get durableTimestamp(): Timestamp {
    return this.#durable;
  }

  commit(request: CommitRequest): Promise<CommitOutcome> {
    this.commits++;
    // Decided and applied in a later turn, as by another thread.
    return new Promise((resolve) => setImmediate(() => resolve(this.#decide(request))));
  }

  /** A commit from elsewhere. */
  write(entries: Readonly<Record<string, string>>): Timestamp {
    return this.#apply(Object.entries(entries).map(([key, json]) => documentWrite(key, json)));
  }

  /** What a document was at some time. */
  valueAt(key: string, timestamp: Timestamp): string {
    const revisions = this.#revisions.get(key) ?? [];
    return revisions.findLast((revision) => revision.timestamp <= timestamp)?.json ?? "null";
  }

  durable(timestamp: Timestamp): Promise<void> {
    if (timestamp <= this.#durable) return Promise.resolve();
    return new Promise((resolve) => this.#waitingForDisk.push({ timestamp, resolve }));
  }

  /** Puts everything that was applied on disk. */
  syncDisk(): void {
    this.#durable = this.#applied;
    const waiting = this.#waitingForDisk;
    this.#waitingForDisk = waiting.filter(({ timestamp }) => timestamp > this.#durable);
    for (const { timestamp, resolve } of waiting) if (timestamp <= this.#durable) resolve();
  }

  onApplied(listener: (commits: readonly AppliedCommit[]) => void): void {
    this.#listeners.push(listener);
  }

  getSessionRecord(sessionId: string, requestId: number): SessionRecord | undefined {
    return this.#records.get(`${sessionId}|${requestId}`);
  }

  #decide(request: CommitRequest): CommitOutcome {
    const { session, snapshot, reads } = request;
    if (session !== undefined) {
      const record = this.getSessionRecord(session.sessionId, session.requestId);
      if (record !== undefined) return { kind: "replayed", record };
    }
    for (const { timestamp, keys } of this.#log) {
      if (timestamp <= snapshot) continue;
      const hit = keys.find(([index, key]) => readSetContains(reads, index, key));
      if (hit === undefined) continue;
      return { kind: "conflict", table: "texts", id: hit[1], writer: request.source ?? "" };
    }
    const timestamp = this.#apply(request.writes.documents);
    if (session !== undefined) {
      const { sessionId, requestId, result, logLines } = session;
      this.#records.set(`${sessionId}|${requestId}`, { timestamp, result, logLines });
    }
    return { kind: "committed", timestamp };
  }

  #apply(writes: readonly DocumentWrite[]): Timestamp {
    const timestamp = (this.#applied + 10) as Timestamp;
    for (const { id, json } of writes) {
      const revisions = this.#revisions.get(id) ?? [];
      this.#revisions.set(id, [...revisions, { timestamp, json: json! }]);
    }
    const commit = { timestamp, keys: writes.flatMap(({ addedKeys }) => addedKeys) };
    this.#log.push(commit);
    this.#applied = timestamp;
    for (const listener of this.#listeners) listener([commit]);
    // The disk follows in a turn of its own.
    if (!this.isDiskStuck) setImmediate(() => this.isDiskStuck || this.syncDisk());
    return timestamp;
  }

  // Isolates

  deploy(): void {}

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  retire(deployment: string): void {
    this.retired.push(deployment);
  }

  aborted({ sequence }: { sequence: number }): void {
    this.abortedSequences.push(sequence);
  }

  async runTransaction(
    call: FunctionCall,
    args: string,
    { lane }: TransactionOptions = {},
  ): Promise<CallResult> {
    this.lanes.push(lane);
    return await this.#run(call, args, rejectingHost);
  }

  async runAction(call: FunctionCall, body: Uint8Array, host: ActionHost): Promise<CallResult> {
    return await this.#run(call, new TextDecoder().decode(body), host);
  }

  async #run(call: FunctionCall, args: string, host: ActionHost): Promise<CallResult> {
    const path = `${call.module.replace(/\.js$/, "")}:${call.export}`;
    this.calls.push(path);
    const run = new FakeRun(
      call,
      args,
      host,
      call.at ?? this.#applied,
      (key) => this.#revisions.get(key) ?? [],
      () => [...this.#revisions.keys()],
    );
    if (call.at !== undefined && call.at < this.historyStart) return outOfRetention;
    const target = this.#deployments.get(call.deployment)![path]!;
    const logLines = run.logLines;
    try {
      const value = await target.handler(run);
      const outcome = {
        kind: "success" as const,
        ...(call.kind === "query" ? run.observations() : {}),
        ...(call.kind === "mutation" ? { commit: run.commit(++this.#sequence) } : {}),
        ...(call.kind === "httpAction" ? { response: { status: 200, headers: [] } } : {}),
      };
      return { outcome, body: encoder.encode(value), logLines, usage: noUsage };
    } catch (error) {
      if (error instanceof LostIsolate) {
        const failure = { message: "Function execution timed out", frames: [] };
        return {
          outcome: { kind: "failure", failure },
          body: new Uint8Array(0),
          logLines: [],
          usage: noUsage,
        };
      }
      if (!(error instanceof FunctionError)) throw error;
      const confirmation = call.kind === "mutation" ? run.confirmation(++this.#sequence) : {};
      return {
        outcome: {
          kind: "failure",
          failure: error.failure,
          ...run.observations(),
          ...confirmation,
        },
        body: new Uint8Array(0),
        logLines,
        usage: noUsage,
      };
    }
  }

  // Not part of what is tested with this.

  changeCatalog = notFaked;
  importDocuments = notFaked;
  backfill = notFaked;
  analyze = notFaked;
  onFatal(): void {}
  callCounts(): readonly [] {
    return [];
  }

  processes(): [] {
    return [];
  }
  async close(): Promise<void> {}
}

const outOfRetention: CallResult = {
  outcome: {
    kind: "failure",
    failure: { message: "too old", frames: [] },
    isOutOfRetention: true,
  },
  body: new Uint8Array(0),
  logLines: [],
  usage: noUsage,
};

function notFaked(): never {
  throw new Error("Not faked");
}

const rejectingHost: ActionHost = { operation: notFaked, log: notFaked };

class FakeRun implements FakeContext {
  journal: string | null;
  readonly logLines: LogLine[] = [];
  readonly #points = new Set<string>();
  readonly #ranges: { lower: string; upper: string }[] = [];
  readonly #writes = new Map<string, string>();
  #sawTime = false;
  #sawIdentity = false;
  #dependsOnUndecided = false;

  constructor(
    readonly call: FunctionCall,
    readonly args: string,
    readonly host: ActionHost,
    readonly snapshot: Timestamp,
    readonly revisionsOf: (key: string) => readonly { timestamp: Timestamp; json: string }[],
    readonly keys: () => string[],
  ) {
    this.journal = call.journal;
  }

  readonly read = (key: string): string => {
    this.#points.add(key);
    return this.#get(key) ?? "null";
  };

  readonly scan = (lower: string, upper: string): string[] => {
    this.#ranges.push({ lower, upper });
    return this.keys().filter((key) => key >= lower && key < upper).sort()
      .map((key) => this.#get(key)).filter((json) => json !== undefined);
  };

  readonly write = (key: string, json: string): void => {
    this.#writes.set(key, json);
  };

  readonly identity = (): UserIdentity | null => {
    this.#sawIdentity = true;
    return this.call.identity;
  };

  readonly now = (): number => {
    this.#sawTime = true;
    return this.call.nowMs;
  };

  readonly print = (text: string): void => {
    this.logLines.push({ level: "LOG", messages: [text], isTruncated: false, timestamp: 0 });
  };

  readonly dependOnUndecided = (): void => {
    this.#dependsOnUndecided = true;
  };

  /** What a failed mutation adds when it read undecided writes. */
  confirmation(sequence: number): { commit?: Omit<CommitRequest, "session"> } {
    if (!this.#dependsOnUndecided) return {};
    return {
      commit: { ...this.commit(sequence), writes: { documents: [], tables: [] }, dependsOn: [0] },
    };
  }

  observations() {
    return {
      snapshot: this.snapshot,
      reads: this.#readSet(),
      journal: this.journal,
      observed: { time: this.#sawTime, identity: this.#sawIdentity, variables: [] },
    };
  }

  commit(sequence: number): Omit<CommitRequest, "session"> {
    return {
      snapshot: this.snapshot,
      structureVersion: 1,
      reads: this.#readSet(),
      writes: {
        documents: [...this.#writes].map(([key, json]) => documentWrite(key, json)),
        tables: [],
      },
      origin: { isolate: 1, sequence },
      source: `${this.call.module}:${this.call.export}`,
      dependsOn: [],
    };
  }

  #get(key: string): string | undefined {
    return this.#writes.get(key) ??
      this.revisionsOf(key).findLast(({ timestamp }) => timestamp <= this.snapshot)?.json;
  }

  #readSet(): ReadSet {
    const points = [...this.#points].map((key) => ({ lower: key, upper: `${key}\0` }));
    const intervals = [...points, ...this.#ranges].sort((a, b) => a.lower < b.lower ? -1 : 1);
    return intervals.length === 0 ? [] : [[
      documents,
      intervals.map(({ lower, upper }) => ({ lower: asKey(lower), upper: asKey(upper) })),
    ]];
  }
}

function asKey(text: string): IndexKey {
  return text as IndexKey;
}

function documentWrite(key: string, json: string): DocumentWrite {
  const point: IndexPoint = [documents, asKey(key)];
  return {
    table: 10_001 as TableNumber,
    id: key,
    row: null,
    json,
    existed: false,
    removedKeys: [],
    addedKeys: [point],
    keptKeys: [],
  };
}

function recordOf(
  id: string,
  functions: Readonly<Record<string, FakeFunction>>,
  httpRoutes: AnalyzedModule["httpRoutes"],
): DeploymentRecord {
  const analysis: Record<string, AnalyzedModule> = {};
  const moduleOf = (path: string): AnalyzedModule =>
    analysis[path] ??= { functions: [], httpRoutes: null, crons: null, exported: null };
  for (const [path, { type, isInternal }] of Object.entries(functions)) {
    const { module, export: name } = parseFunctionPath(path);
    const analyzed = moduleOf(module);
    analysis[module] = {
      ...analyzed,
      functions: [...analyzed.functions, {
        name,
        udfType: type,
        visibility: isInternal ? "internal" : "public",
        args: null,
        returns: null,
        position: null,
      }],
    };
  }
  if (httpRoutes !== null) analysis["http.js"] = { ...moduleOf("http.js"), httpRoutes };
  return {
    id,
    pushedAtMs: 0,
    modules: [],
    analysis,
    udfConfig: { serverVersion: "1.48.0", importSeed: "", importTimeMs: 0 },
    schema: null,
    authProviders: [],
    nodeVersion: null,
  };
}
