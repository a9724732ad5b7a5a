/**
 * A schema on its way from `start_push` to `finish_push` (deploy-protocol 4.1):
 *
 *     in progress ──▶ complete           documents checked and indexes filled
 *          └───┬──▶ failed               a document contradicts it, old or new
 *              └──▶ overwritten          a later push brought another schema
 *
 * `failed` and `overwritten` are final; a complete schema can still turn into either.
 */
import type { Environment } from "../environment.ts";
import type { ExportedSchema } from "./analysis.ts";
import type { SchemaViolation } from "./schema_check.ts";

/** The answer of `wait_for_schema` (deploy-protocol 3.7). */
export type SchemaStatus =
  | {
    readonly type: "inProgress";
    readonly components: {
      readonly "": {
        readonly schemaValidationComplete: boolean;
        readonly indexesComplete: number;
        readonly indexesTotal: number;
      };
    };
  }
  | {
    readonly type: "failed";
    readonly error: string;
    readonly componentPath: "";
    readonly tableName: string | null;
  }
  | { readonly type: "raceDetected" }
  | { readonly type: "complete" };

export class PendingSchema {
  #isValid = false;
  #indexesComplete = 0;
  #end: { readonly kind: "failed"; readonly violation: SchemaViolation } | {
    readonly kind: "overwritten";
  } | null = null;
  readonly #settled = Promise.withResolvers<void>();

  constructor(
    readonly id: string,
    /** Null: the push has none. */
    readonly schema: ExportedSchema | null,
    /** Indexes that must be filled before the push may finish. */
    readonly indexesTotal: number,
  ) {}

  get isOver(): boolean {
    return this.#end !== null;
  }

  get isComplete(): boolean {
    return this.#end === null && this.#isValid && this.#indexesComplete === this.indexesTotal;
  }

  get status(): SchemaStatus {
    if (this.#end?.kind === "overwritten") return { type: "raceDetected" };
    if (this.#end?.kind === "failed") {
      return { type: "failed", componentPath: "", ...this.#end.violation };
    }
    if (this.isComplete) return { type: "complete" };
    const progress = {
      schemaValidationComplete: this.#isValid,
      indexesComplete: this.#indexesComplete,
      indexesTotal: this.indexesTotal,
    };
    return { type: "inProgress", components: { "": progress } };
  }

  markValid(): void {
    this.#isValid = true;
    this.#settle();
  }

  markIndexComplete(): void {
    this.#indexesComplete++;
    this.#settle();
  }

  fail(violation: SchemaViolation): void {
    this.#end ??= { kind: "failed", violation };
    this.#settle();
  }

  overwrite(): void {
    this.#end ??= { kind: "overwritten" };
    this.#settle();
  }

  /** Resolves when it is no longer in progress, or after `timeoutMs`. */
  async wait(timeoutMs: number, environment: Environment): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const cancel = environment.setTimer(timeoutMs, resolve);
    await Promise.race([this.#settled.promise, late]);
    cancel();
  }

  #settle(): void {
    if (this.isOver || this.isComplete) this.#settled.resolve();
  }
}
