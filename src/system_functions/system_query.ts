import type { Transaction } from "../database/transaction.ts";
import type { ComponentId } from "../database/component.ts";
import type { AnalyzedModule } from "../isolate/protocol.ts";
import type { Validator } from "../values/validator.ts";
import type { Value, ValueObject } from "../values/value.ts";

/** A query that the server answers itself, between other work: it must be quick and wait for nothing. */
export interface SystemQuery {
  readonly args: Validator;
  /** What it reads through the transaction decides when the result is computed again. */
  run(context: SystemQueryContext, args: ValueObject): Value;
}

export interface SystemQueryContext {
  /** As the component that it is about sees it. */
  readonly transaction: Transaction;
  /** The user's. When they change, every result ends. */
  readonly environmentVariables: Readonly<Record<string, string>>;
  /** Origins of the API and of the app's HTTP actions. When they change, every result ends. */
  readonly urls: { readonly cloud: string; readonly site: string };
  /** Those of the app, by path with `.js`. When another push is finished, every result ends. */
  readonly deployedModules: Readonly<Record<string, AnalyzedModule>>;
  /** In use. When another push is finished, every result ends. */
  readonly deployedComponents: readonly {
    readonly id: ComponentId;
    readonly httpPrefix: string | null;
  }[];
}

/** By the name of their export. */
export type SystemModule = Readonly<Record<string, SystemQuery>>;
