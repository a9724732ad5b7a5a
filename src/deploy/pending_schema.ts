/**
 * The schemas of an app and its components on their way from `start_push` to `finish_push` (deploy-protocol 4.1):
 *
 *     in progress ──▶ complete           documents checked and indexes filled
 *          └───┬──▶ failed               a document contradicts one of them, old or new
 *              └──▶ overwritten          a later push brought others
 *
 * `failed` and `overwritten` are final; what is complete can still turn into either.
 */
import { appComponent, type ComponentId } from "../database/component.ts";
import type { SchemaViolation } from "../database/write_set.ts";
import type { Environment } from "../environment.ts";
import type { ExportedSchema } from "./analysis.ts";

/** The schema of the app or of one component, as a push brings it. */
export interface DeclaredSchema {
  readonly component: ComponentId;
  /** Names from the app downwards, `child/grandchild`; empty for the app. */
  readonly path: string;
  /** Null: it has none. */
  readonly schema: ExportedSchema | null;
}

export interface SchemaProgress {
  readonly schemaValidationComplete: boolean;
  readonly indexesComplete: number;
  readonly indexesTotal: number;
}

/** The answer of `wait_for_schema` (deploy-protocol 3.7). */
export type SchemaStatus =
  | {
    readonly type: "inProgress";
    /** By path of the component. */
    readonly components: Readonly<Record<string, SchemaProgress>>;
  }
  | {
    readonly type: "failed";
    readonly error: string;
    readonly componentPath: string;
    readonly tableName: string | null;
  }
  | { readonly type: "raceDetected" }
  | { readonly type: "complete" };

/** A schema, and how far it has come. */
export interface PendingPart extends DeclaredSchema {
  /** Indexes that must be filled before the push may finish. */
  readonly indexesTotal: number;
}

export class PendingSchema {
  readonly #valid = new Set<ComponentId>();
  readonly #indexesComplete = new Map<ComponentId, number>();
  #end: { readonly kind: "failed"; readonly violation: SchemaViolation } | {
    readonly kind: "overwritten";
  } | null = null;
  readonly #settled = Promise.withResolvers<void>();

  constructor(readonly id: string, readonly parts: readonly PendingPart[]) {}

  get isOver(): boolean {
    return this.#end !== null;
  }

  get isComplete(): boolean {
    return this.#end === null && this.parts.every((part) => {
      const { schemaValidationComplete, indexesComplete, indexesTotal } = this.#progress(part);
      return schemaValidationComplete && indexesComplete === indexesTotal;
    });
  }

  get status(): SchemaStatus {
    if (this.#end?.kind === "overwritten") return { type: "raceDetected" };
    if (this.#end?.kind === "failed") {
      const { error, component = appComponent, tableName } = this.#end.violation;
      const part = this.parts.find((part) => part.component === component);
      return { type: "failed", error, componentPath: part?.path ?? "", tableName };
    }
    if (this.isComplete) return { type: "complete" };
    const components = this.parts.map((part) => [part.path, this.#progress(part)] as const);
    return { type: "inProgress", components: Object.fromEntries(components) };
  }

  #progress({ component, indexesTotal }: PendingPart): SchemaProgress {
    return {
      schemaValidationComplete: this.#valid.has(component),
      indexesComplete: this.#indexesComplete.get(component) ?? 0,
      indexesTotal,
    };
  }

  markValid(component: ComponentId): void {
    this.#valid.add(component);
    this.#settle();
  }

  markIndexComplete(component: ComponentId): void {
    this.#indexesComplete.set(component, (this.#indexesComplete.get(component) ?? 0) + 1);
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
