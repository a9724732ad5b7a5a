/**
 * The one realm of an isolate. Executions enter it one at a time, and each finds it as if nobody had been
 * there before.
 */
import { Execution } from "./execution.ts";
import { type Changes, RealmBroken, RealmGuard } from "./globals/realm_guard.ts";
import { Log } from "./log.ts";

export class Realm {
  /** Serves code that is left over from an earlier call: nothing it does counts. */
  readonly #idle = new Execution({
    kind: "analysis",
    nowMs: 0,
    seed: "0".repeat(64),
    importTimeMs: 0,
    importSeed: "0".repeat(64),
    environmentVariables: {},
    log: new Log(),
  });
  #execution = this.#idle;
  #guard: RealmGuard | null = null;
  /** Some change could not be undone: this isolate must not run anything more. */
  isBroken = false;

  /** From here on changes are undone. Call once, when all globals are installed. */
  protect(): void {
    this.#guard = new RealmGuard();
  }

  /** Compiles what `leave` will need, while there is time. */
  warmUp(): void {
    this.#guard?.clean();
  }

  /** Whether an execution is under way, and may have changed built-in objects. */
  get isOccupied(): boolean {
    return this.#execution !== this.#idle;
  }

  /** Whom the globals serve. */
  get execution(): Execution {
    return this.#execution;
  }

  /** Library code must not freeze what is the realm's. */
  isBuiltIn(object: object): boolean {
    return this.#guard?.isBuiltIn(object) ?? false;
  }

  enter(execution: Execution): void {
    this.#execution = execution;
  }

  /** Ends the execution and undoes what it did to the realm. */
  leave(): void {
    this.#execution.end();
    this.#execution = this.#idle;
    this.#clean();
  }

  /** Lets a nested execution in. The returned function brings the outer one and its changes back. */
  enterNested(execution: Execution): () => void {
    const outer = this.#execution;
    const changes = this.#clean();
    this.#execution = execution;
    return () => {
      execution.end();
      this.#clean();
      this.#execution = outer;
      if (changes !== null) this.#guard?.redo(changes);
    };
  }

  /** Does work of the host's as between two calls: in a realm without the changes of the execution. */
  apart<T>(work: () => T): T {
    const execution = this.#execution;
    const changes = this.#clean();
    this.#execution = this.#idle;
    try {
      return work();
    } finally {
      this.#execution = execution;
      if (changes !== null) this.#guard?.redo(changes);
    }
  }

  #clean(): Changes | null {
    try {
      return this.#guard?.clean() ?? null;
    } catch (error) {
      if (!(error instanceof RealmBroken)) throw error;
      this.isBroken = true;
      return null;
    }
  }
}
