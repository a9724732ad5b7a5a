/** What one call came to; see the `result` message of src/isolate/protocol.ts. */
import type { CallOutcome, ExecutionUsage, LogLine } from "../src/isolate/protocol.ts";

export interface FinishedCall {
  readonly outcome: CallOutcome;
  /** JSON text of the result, or the body of a response. */
  readonly body: string | Uint8Array;
  readonly logLines: readonly LogLine[];
  readonly usage: ExecutionUsage;
}

/** Takes what a call came to. */
export type Deliver = (finished: FinishedCall) => void;
