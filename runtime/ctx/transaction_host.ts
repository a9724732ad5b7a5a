/** What `ctx` and the syscalls need of the query or mutation that they serve. */
import type { QueryJournal, Transaction } from "../../src/database/transaction.ts";
import type { FunctionCall } from "../../src/isolate/protocol.ts";
import type { Value } from "../../src/values/value.ts";
import type { Execution } from "../execution.ts";
import type { FunctionAddress } from "../../src/isolate/function_address.ts";
import type { ComponentCode, DeploymentCode } from "../deployment_code.ts";

export interface TransactionHost {
  readonly kind: "query" | "mutation";
  /** Who called the top-level function, and as what. */
  readonly call: FunctionCall;
  readonly execution: Execution;
  readonly journal: QueryJournal;
  readonly deployment: DeploymentCode;
  /** The component whose function runs. */
  readonly component: ComponentCode;
  /** The function that runs: `dir/mod:fn`. */
  readonly name: string;
  readonly visibility: "public" | "internal" | null;

  /** Does something with the transaction at once. What it throws is as user code may see it. */
  perform<T>(action: (transaction: Transaction) => T): T;
  /** The same in its turn: after the nested calls that were started before it. */
  operation<T>(action: (transaction: Transaction) => T): Promise<T>;
  /** Runs another function inside of this one (function-abi 11). */
  callFunction(call: NestedCall): Promise<Value>;
  /** What the transaction used and may still use. */
  metrics(): Record<string, { used: number; remaining: number }>;
  /** Counts a job towards the limits of this transaction. */
  countScheduled(argumentBytes: number): void;
}

export interface NestedCall {
  readonly udfType: "query" | "mutation" | "snapshotQuery";
  readonly address: FunctionAddress;
  /** Checked, and nobody else's. */
  readonly args: Value;
  readonly limits?: Readonly<Record<string, number>> | undefined;
}
