/** What `runtime/isolate.ts` finds in `workerData`: its connection to the server and its settings. */
import type { Config } from "../config.ts";

/** What an isolate takes before it runs anything, in MiB, rounded up; limits on a process's memory grow by it. */
export const idleIsolateMiB = 24;

/** Transaction isolates have the database and no network, action isolates the reverse. */
export type IsolateKind = "transaction" | "action";

export type IsolateLimits = Pick<
  Config,
  | "functionTimeoutMs"
  | "databaseTimeoutS"
  | "actionTimeoutS"
  | "analysisTimeoutMs"
  | "isolateHeapMiB"
  | "documentsReadMax"
  | "bytesReadMax"
  | "intervalsReadMax"
  | "documentsWrittenMax"
  | "bytesWrittenMax"
  | "httpActionBodyBytesMax"
>;

export interface IsolateData {
  /**
   * One or several whole frames (protocol.ts) as a transferred Uint8Array, in both directions. To be read by `onmessage`: for
   * listeners added the way of Node.js, Deno looks for ports inside of each message, which is to say at every byte.
   */
  readonly port: MessagePort;
  /** See heartbeat.ts; a call that does not `begin` has no deadline. */
  readonly heartbeat: SharedArrayBuffer;
  /** Never used twice while the server lives. */
  readonly isolate: number;
  readonly kind: IsolateKind;
  readonly databasePath: string;
  readonly limits: IsolateLimits;
}
