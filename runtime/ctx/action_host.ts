/** What `ctx` and the syscalls need of the action that they serve. */
import type { FunctionCall } from "../../src/isolate/protocol.ts";
import type { ComponentCode } from "../deployment_code.ts";
import type { Execution } from "../execution.ts";
import type { HostOperations } from "../host_operations.ts";
import type { StoredBlobs } from "../stored_blobs.ts";

export interface ActionHost {
  readonly call: FunctionCall;
  /** The component whose action runs. */
  readonly component: ComponentCode;
  readonly execution: Execution;
  readonly operations: HostOperations;
  readonly blobs: StoredBlobs;
  /** The action that runs: `dir/mod:fn`. */
  readonly name: string;
  readonly visibility: "public" | "internal" | null;
}
