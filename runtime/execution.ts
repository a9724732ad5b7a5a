/**
 * What the globals of the realm ask about the function that is running: its phase, clock, randomness,
 * environment variables and log. One object for each execution, nested ones included.
 */
import type { FunctionKind } from "../src/isolate/protocol.ts";
import { SeededRandom } from "./globals/random.ts";
import type { Log } from "./log.ts";
import type { Syscalls } from "./syscalls.ts";

export interface ExecutionOptions {
  readonly kind: FunctionKind | "analysis";
  /** Milliseconds: frozen for queries and mutations. */
  readonly nowMs: number;
  /** Of actions: see `FunctionCall`. */
  readonly clockOffsetMs?: number;
  /** 64 hex digits, like `importSeed`. */
  readonly seed: string;
  readonly importTimeMs: number;
  readonly importSeed: string;
  readonly environmentVariables: Readonly<Record<string, string>>;
  /** The deployment's variables behind these, by name; absent: those of the same name. */
  readonly variableSources?: Readonly<Record<string, string>> | undefined;
  readonly log: Log;
}

/** There are at most as many variables (deploy-protocol 5); further names were made up. */
const variablesKeptMax = 512;
const { hasOwn } = Object;
const realNow = Date.now; // kept: user code sees another Date and performance
const monotonicNow = performance.now.bind(performance);

export class Execution {
  readonly options: ExecutionOptions;
  readonly kind: ExecutionOptions["kind"];
  /** Modules are evaluated in the first, the function runs in the second (semantics 1.1). */
  phase: "import" | "run" = "import";
  observedTime = false;
  observedIdentity = false;
  /** Names of environment variables that were read, as keys; null: more than are kept. */
  observedVariables: Record<string, true> | null = Object.create(null);
  #observedVariablesCount = 0;
  /** Called when `failure` is set for the first time. */
  onFailure: () => void = () => {};
  /** Null while modules are imported. */
  syscalls: Syscalls | null = null;
  /** Work outside of the realm that user code may wait for, such as cryptography. */
  pendingOperations = 0;
  /** Somebody far away may keep a promise of user code waiting, and nothing here would show it. */
  usedNetwork = false;
  readonly #startedAt = monotonicNow();
  readonly #endings: (() => void)[] = [];
  #random: SeededRandom | null = null;
  #failure: { readonly reason: unknown } | null = null;

  constructor(options: ExecutionOptions) {
    this.options = options;
    this.kind = options.kind;
  }

  /** What ends the function whatever its promise says; null: nothing. */
  get failure(): { readonly reason: unknown } | null {
    return this.#failure;
  }

  /** Ends the function even if user code catches `reason`, or nobody handled the rejection with it. */
  fail(reason: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = { reason };
    this.onFailure();
  }

  get log(): Log {
    return this.options.log;
  }

  /** Queries and mutations must be repeatable; modules must be, whatever they are imported for. */
  get isDeterministic(): boolean {
    return this.phase === "import" || this.kind === "query" || this.kind === "mutation";
  }

  /** What `Date` shows. */
  now(): number {
    if (this.phase === "import") return this.options.importTimeMs;
    this.observedTime = true;
    return this.isDeterministic
      ? this.options.nowMs
      : realNow() + (this.options.clockOffsetMs ?? 0);
  }

  get timeOrigin(): number {
    return this.options.importTimeMs;
  }

  /** What `performance.now` shows: milliseconds since `timeOrigin`, in steps of 0.1. */
  performanceNow(): number {
    if (this.phase === "import") return 0;
    this.observedTime = true;
    const elapsed = this.kind === "query" ? 0 : monotonicNow() - this.#startedAt;
    return Math.floor((this.options.nowMs - this.timeOrigin + elapsed) * 10) / 10;
  }

  /** The value of an environment variable; undefined without one. */
  readVariable(name: string): string | undefined {
    const { environmentVariables, variableSources } = this.options;
    if (variableSources === undefined) this.observeVariable(name);
    else if (hasOwn(variableSources, name)) this.observeVariable(variableSources[name]!);
    return hasOwn(environmentVariables, name) ? environmentVariables[name] : undefined;
  }

  /** The function's result depends on a variable of the deployment. */
  observeVariable(name: string): void {
    if (this.observedVariables === null || name in this.observedVariables) return;
    if (++this.#observedVariablesCount > variablesKeptMax) this.observedVariables = null;
    else this.observedVariables[name] = true;
  }

  /** What a nested execution looked at, its caller depends on as well. */
  observeAll(nested: Execution): void {
    this.observedTime ||= nested.observedTime;
    this.observedIdentity ||= nested.observedIdentity;
    if (nested.observedVariables === null) this.observedVariables = null;
    else for (const name in nested.observedVariables) this.observeVariable(name);
  }

  get random(): SeededRandom {
    return this.#random ??= new SeededRandom(
      this.phase === "import" ? this.options.importSeed : this.options.seed,
    );
  }

  /** From here the function itself runs. `syscalls` is what the function library may ask for. */
  beginRun(syscalls: Syscalls): void {
    this.phase = "run";
    this.syscalls = syscalls;
    this.#random = null;
  }

  /** Calls `stop` when the execution is over: nothing of it may run on into the next one. */
  onEnd(stop: () => void): void {
    this.#endings.push(stop);
  }

  /** Works whatever user code did to arrays. */
  end(): void {
    for (let i = 0; i < this.#endings.length; i++) this.#endings[i]!();
  }
}
