/** What the function runner needs from the executors; `pool.ts` is the implementation. */
import type {
  AnalysisResult,
  CallOutcome,
  DeploymentManifest,
  ExecutionUsage,
  FunctionCall,
  HostOperation,
  HttpActionResponse,
  LogLine,
} from "./protocol.ts";
import type { FunctionFailure } from "../errors.ts";

export interface CallResult {
  readonly outcome: CallOutcome;
  /** JSON text of the value. For HTTP actions the response body. Empty for failures. */
  readonly body: Uint8Array;
  readonly logLines: readonly LogLine[];
  readonly usage: ExecutionUsage;
}

/** Performs the operations that one action asks for, and takes its log lines as they come. */
export interface ActionHost {
  operation(
    operation: HostOperation,
    fields: Readonly<Record<string, unknown>>,
    body: Uint8Array,
  ): Promise<{ body: Uint8Array; fields?: Record<string, unknown> } | { failure: FunctionFailure }>;
  log(lines: readonly LogLine[]): void;
  /** HTTP actions. */
  readonly client?: HttpClient;
}

/** The client of an HTTP action while that runs. */
export interface HttpClient {
  /** Aborted when it goes away. */
  readonly gone: AbortSignal;
  /** The next piece of a body that follows its call; empty at its end. Rejects when it does not come. */
  readRequest(): Promise<Uint8Array>;
  /** Called once, unless the response comes whole with the result. */
  respond(response: HttpActionResponse, body: StreamedBody): void;
}

/** A body that is sent as it is produced. */
export interface StreamedBody {
  /** Cancelled when the client goes away. Errors when the action fails. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Its length if that is known before its end. */
  readonly bytes: number | null;
}

export interface TransactionOptions {
  /** Calls with the same lane run on the same isolate, one after the other. */
  readonly lane?: string | undefined;
  /** Who gets his turn among others; see `CallContext.client`. */
  readonly client?: string | undefined;
}

export interface CallCounts {
  readonly pool: "transaction" | "action" | "node";
  readonly running: number;
  readonly waiting: number;
}

export interface Isolates {
  /**
   * Makes a deployment known; isolates load it before their next call. The previous ones stay usable until `retire`.
   */
  deploy(deployment: DeploymentManifest): void;
  /**
   * Loads what is in use of the modules of other deployments, so that the first calls of this one are not slow. Resolves
   * when that is done, or has taken too long. `deploy` or `retire` must follow.
   */
  prepare(deployment: DeploymentManifest): Promise<void>;
  retire(deployment: string): void;
  /**
   * Runs one query or mutation. In a lane each sees the uncommitted writes of those before it. Rejects with
   * RequestError when no isolate came free or the isolate was lost `executor` times; a time-out or exhausted heap is
   * an outcome of kind failure.
   */
  runTransaction(
    call: FunctionCall,
    args: string,
    options?: TransactionOptions,
  ): Promise<CallResult>;
  /** Tells the isolate that a mutation's transaction did not commit. */
  aborted(origin: { isolate: number; sequence: number }): void;
  /** Runs one action or HTTP action in the default runtime, or in Node if the module says so. Never re-run. */
  runAction(
    call: FunctionCall,
    body: Uint8Array,
    host: ActionHost,
    client?: string,
  ): Promise<CallResult>;
  /** Evaluates modules of a deployment that is not live yet; isolate and node modules alike. */
  analyze(deployment: DeploymentManifest): Promise<AnalysisResult>;
  /** How many calls run and how many wait for their turn, for metrics. */
  callCounts(): readonly CallCounts[];
  /** Of the child processes, for metrics. */
  processes(): readonly { name: string; pid: number }[];
  close(): Promise<void>;
}
