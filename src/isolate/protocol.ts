/**
 * Messages between the server and an isolate. On the pipe to an executor process each is one frame:
 *
 *     u32 length of the rest | u32 isolate | u32 header length | header (JSON, UTF-8) | body (bytes)
 *
 * (little endian). The executor's main thread relays frames by `isolate` without looking inside; isolate
 * 0 is the executor itself. The body carries values as JSON text, or raw bytes, so that a result is
 * never encoded twice. On the MessagePort of an isolate the same frame travels as one transferred
 * Uint8Array. The types of the messages; frames are packed in frames.ts, and what an isolate sends is
 * checked in parse_message.ts.
 */
import type { CronRun } from "../database/cron_jobs.ts";
import type { CommitRequest } from "../committer/protocol.ts";
import type { ComponentId } from "../database/component.ts";
import type { ReadSet } from "../database/read_set.ts";
import type { Timestamp } from "../database/timestamp.ts";
import type { FunctionFailure } from "../errors.ts";

export type FunctionKind = "query" | "mutation" | "action" | "httpAction";

/** A user as `ctx.auth.getUserIdentity()` reports it (function-abi 10). */
export type UserIdentity = Readonly<Record<string, unknown>> & {
  readonly tokenIdentifier: string;
};

/** Code and settings that calls run under. Never changes; a push or a changed variable makes a new one. */
export interface DeploymentManifest {
  readonly id: string;
  /** The app's own. */
  readonly modules: readonly ModuleEntry[];
  /** Those that the app uses and those that these use; parents before their children. Absent: none. */
  readonly components?: readonly ComponentManifest[];
  /** User variables and the built-ins CONVEX_CLOUD_URL and CONVEX_SITE_URL. */
  readonly environmentVariables: Readonly<Record<string, string>>;
  /** Randomness and time seen while modules are evaluated (semantics 1.1). */
  readonly importSeed: string;
  readonly importTimeMs: number;
  /** For src/database/storage_urls.ts (origin: CONVEX_CLOUD_URL); absent when modules are only analysed. */
  readonly fileStorageSecret?: string;
  /** Major version of Node.js that the app asks for, if it does. */
  readonly nodeVersion?: string | null;
  /** Absolute path of the `node_modules` folder with the app's external packages, if it has any. */
  readonly nodePackages?: string | null;
}

/** Code and settings of one component. */
export interface ComponentManifest {
  readonly id: ComponentId;
  readonly parent: ComponentId;
  /** Name within its parent. */
  readonly name: string;
  /** Names from the app downwards: `child/grandchild`. */
  readonly path: string;
  /** Path of its definition: components with the same one share their code, `modules`. */
  readonly definition: string;
  readonly modules: readonly ModuleEntry[];
  /** What it was given by definitions of older libraries, as JSON texts (components 2.2). */
  readonly args: Readonly<Record<string, string>>;
  /** What it declares and was given, and the built-ins (components 9.5). */
  readonly environmentVariables: Readonly<Record<string, string>>;
  /** The deployment's variable behind each of those that do not have a fixed value, set or not. */
  readonly variableSources: Readonly<Record<string, string>>;
}

export interface ModuleEntry {
  /** As pushed: `dir/file.js`. */
  readonly path: string;
  readonly environment: "isolate" | "node";
  /** Absolute path of the factory file made by src/deploy/module_factory.ts (node: of the bundle itself). */
  readonly file: string;
}

/** Modules that only the analysis of a push sees, see src/deploy/definition_modules.ts: a component's definition … */
export const definitionSuffix = ".definition";
/** … and what those that use the component import in its place. */
export const componentImportsFolder = "_componentDeps/";

/** One function to run. */
export interface FunctionCall {
  readonly kind: FunctionKind;
  readonly deployment: string;
  /** Whose function it is; absent: the app's. */
  readonly component?: ComponentId;
  /** Module path with `.js`. */
  readonly module: string;
  readonly export: string;
  readonly requestId: string;
  readonly identity: UserIdentity | null;
  /** The token that a user presented. */
  readonly authToken?: string;
  /** Why the identity is absent although a token was sent: thrown by getUserIdentity (HTTP actions). */
  readonly identityError?: string;
  /** Journal of the run whose pages this one must repeat; queries only. */
  readonly journal: string | null;
  /** Queries: read the state at this timestamp, which is visible; absent: the newest one. */
  readonly at?: Timestamp;
  /** Frozen time of queries and mutations; start time of actions. Milliseconds. */
  readonly nowMs: number;
  /** How far the clock of actions is from the machine's, in milliseconds; absent: it is the machine's. */
  readonly clockOffsetMs?: number;
  /** 64 hex digits. */
  readonly seed: string;
  /** Validators from analysis, as JSON texts; null: none. */
  readonly args: string | null;
  readonly returns: string | null;
  /** Id of the scheduled job that runs this, if any. */
  readonly scheduledFunctionId?: string;
  /** This call is that job itself: a mutation's own commit completes it (src/database/scheduled_jobs.ts). */
  readonly isScheduledJob?: boolean;
  /** This call is that run of a cron job: its own commit leads to the next one (src/database/cron_jobs.ts). */
  readonly cronRun?: CronRun;
  /** HTTP actions: method, URL, header pairs; the frame's body is the request body, unless that follows. */
  readonly request?: HttpActionRequest;
}

export interface HttpActionRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  /** The body is not there yet; the isolate asks for it piece by piece. */
  readonly bodyFollows?: boolean;
  /** The path that the component's router sees; absent: that of the URL. */
  readonly routedPath?: string;
}

export interface HttpActionResponse {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
}

export type LogLevel = "DEBUG" | "ERROR" | "WARN" | "INFO" | "LOG";

/** One call of console.* (function-abi 17). */
export interface LogLine {
  readonly level: LogLevel;
  readonly messages: readonly string[];
  readonly isTruncated: boolean;
  readonly timestamp: number;
  /** Nested function that logged it, and the path of its component if that is not the app. */
  readonly udfPath?: string;
  readonly componentPath?: string;
  readonly systemCode?: string;
}

export interface Observed {
  readonly time: boolean;
  readonly identity: boolean;
  /** Names of the environment variables it read, set or not; null: any. */
  readonly variables: readonly string[] | null;
}

/** What an execution used, for limits, logs and metrics. */
export interface ExecutionUsage {
  readonly documentsRead: number;
  readonly bytesRead: number;
  readonly documentsWritten: number;
  readonly bytesWritten: number;
  readonly durationMs: number;
  /** JavaScript heap of the isolate or Node process when it ended; absent when that did not live to tell. */
  readonly heapBytes?: number;
}

/** How a call ended. The value (JSON text) or the HTTP response body is the frame's body. */
export type CallOutcome =
  | {
    readonly kind: "success";
    /** Queries and mutations. */
    readonly snapshot?: Timestamp;
    readonly reads?: ReadSet;
    readonly journal?: string | null;
    readonly observed?: Observed;
    /** Mutations: what to commit. `session` is added by the runner. */
    readonly commit?: Omit<CommitRequest, "session">;
    /** HTTP actions. */
    readonly response?: HttpActionResponse;
  }
  | {
    readonly kind: "failure";
    readonly failure: FunctionFailure;
    /** The state at `FunctionCall.at` is not kept any more; nothing was run. */
    readonly isOutOfRetention?: true;
    /** Queries and mutations; absent when the isolate did not live to tell. */
    readonly snapshot?: Timestamp;
    /** Queries: what it read before it failed, so that a subscription sees it recover. */
    readonly reads?: ReadSet;
    readonly journal?: string | null;
    readonly observed?: Observed;
    /** Mutations that read undecided writes: without writes, to learn whether what it failed on came about. */
    readonly commit?: Omit<CommitRequest, "session">;
  };

/** Operations of actions that the server performs; names as in function-abi 13, 7, 8, 9. */
export type HostOperation =
  | "runQuery"
  | "runMutation"
  | "runAction"
  | "functionHandle"
  | "schedule"
  | "cancelJob"
  | "vectorSearch"
  | "storageStore"
  /** A part of a file that is too large to be sent at once. */
  | "storageStorePiece"
  | "storageGet"
  | "storageDelete"
  | "storageGetUrl"
  | "storageGetMetadata"
  | "storageGenerateUploadUrl"
  /** Asked for by Hull itself: which tables there are, to check ids by. */
  | "tableNames";

export type ToIsolate =
  | { readonly type: "load"; readonly deployment: DeploymentManifest }
  | { readonly type: "unload"; readonly deployment: string }
  /** Load of this deployment what has been loaded of others, between calls; answered by `warm`. */
  | { readonly type: "warmUp"; readonly deployment: string }
  /** Body: JSON text of the arguments array, `[{…}]`; for HTTP actions the request body. */
  | { readonly type: "call"; readonly callId: number; readonly call: FunctionCall }
  /** Skip these calls if they have not begun; their answers are ignored anyway. */
  | { readonly type: "revoke"; readonly callIds: readonly number[] }
  /** A transaction of this isolate did not commit; drop it and stop building on it. */
  | { readonly type: "aborted"; readonly sequence: number }
  /** Answer to a host operation. Body: JSON text of the value, or bytes (storageGet). */
  | {
    readonly type: "operationResult";
    readonly callId: number;
    readonly operationId: number;
    readonly failure?: FunctionFailure;
    /** Extra fields of the answer, e.g. a file's content type. */
    readonly fields?: Readonly<Record<string, unknown>>;
  }
  | ToHttpAction
  /** Evaluate all modules and report what they export. */
  | {
    readonly type: "analyze";
    readonly callId: number;
    readonly deployment: DeploymentManifest;
    /** Path of the one module to analyse; without it all but chunks are. */
    readonly only?: string;
  };

/**
 * Bodies of HTTP actions that are not whole travel in pieces. Each piece is asked for, by one message at a time in
 * each direction: so both sides hold what one has been asked for and no more.
 */
export type ToHttpAction =
  /** Body: the piece that was asked for; empty at the end of the request's body. */
  | { readonly type: "requestPiece"; readonly callId: number }
  /** The rest of the request's body does not come. */
  | { readonly type: "requestFailed"; readonly callId: number; readonly message: string }
  /** The client takes another piece of the response's body. */
  | { readonly type: "wantResponsePiece"; readonly callId: number }
  /** Whatever the action still sends reaches nobody; it runs on all the same. */
  | { readonly type: "clientGone"; readonly callId: number };

export type FromHttpAction =
  | { readonly type: "wantRequestPiece"; readonly callId: number }
  /** The head of a response whose body follows, and ends with `result`. `bodyBytes`: its length if that is known. */
  | {
    readonly type: "response";
    readonly callId: number;
    readonly response: HttpActionResponse;
    readonly bodyBytes: number | null;
  }
  /** Body: the piece that was asked for. */
  | { readonly type: "responsePiece"; readonly callId: number };

/** What actions store or get in one piece of a file, in bytes; two sides hold one each. */
export const filePieceBytesMax = 1024 * 1024;

/** A piece of a body is not larger, in bytes. */
export const pieceBytesMax = 64 * 1024;

export type FromIsolate =
  | { readonly type: "ready" }
  /** Body: value JSON text or response body. */
  | {
    readonly type: "result";
    readonly callId: number;
    readonly outcome: CallOutcome;
    readonly logLines: readonly LogLine[];
    readonly usage: ExecutionUsage;
    /** The isolate takes no more calls and ends. */
    readonly isLast?: boolean;
  }
  /** Actions: a host operation. `fields` are its arguments; body: JSON text of function args, or bytes to store. */
  | {
    readonly type: "operation";
    readonly callId: number;
    readonly operationId: number;
    readonly operation: HostOperation;
    readonly fields: Readonly<Record<string, unknown>>;
  }
  /** Actions: lines as they are printed. */
  | { readonly type: "log"; readonly callId: number; readonly logLines: readonly LogLine[] }
  | FromHttpAction
  | { readonly type: "warm"; readonly deployment: string }
  | { readonly type: "analyzed"; readonly callId: number; readonly result: AnalysisResult };

/** Node processes answer a ping as soon as user code lets them. */
export type ToNode = ToIsolate | { readonly type: "ping" };
export type FromNode = FromIsolate | { readonly type: "pong"; readonly residentBytes: number };

/** To the executor itself (isolate 0). */
export type ToExecutor =
  | { readonly type: "spawn"; readonly isolate: number }
  | { readonly type: "terminate"; readonly isolate: number };

/** From the executor itself. */
export type FromExecutor =
  | { readonly type: "ready" }
  /** An isolate ended by itself or was ended by the watch; `callId` is what it was running, if anything. */
  | {
    readonly type: "died";
    readonly isolate: number;
    readonly reason: "heap" | "timeout" | "databaseTimeout" | "exit" | "terminated";
    readonly callId: number | null;
    readonly detail?: string;
  }
  | { readonly type: "memory"; readonly residentBytes: number };

/** What a push learns about modules (function-abi 21). */
export type AnalysisResult =
  | { readonly kind: "success"; readonly modules: Readonly<Record<string, AnalyzedModule>> }
  | { readonly kind: "failure"; readonly module: string; readonly message: string };

export interface AnalyzedModule {
  readonly functions: readonly AnalyzedFunction[];
  readonly httpRoutes: readonly { readonly path: string; readonly method: string }[] | null;
  /** JSON text of `crons.export()`. */
  readonly crons: string | null;
  /** JSON text of the default export's `export()` for schema.js, of the default export for auth.config.js and convex.config.js. */
  readonly exported: string | null;
}

export interface AnalyzedFunction {
  readonly name: string;
  readonly udfType: "Query" | "Mutation" | "Action";
  readonly visibility: "public" | "internal" | null;
  readonly args: string | null;
  readonly returns: string | null;
  readonly position:
    | { readonly path: string; readonly line: number; readonly column: number }
    | null;
}
