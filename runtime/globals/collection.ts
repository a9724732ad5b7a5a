/** Garbage collection must not show: it would make functions unrepeatable (semantics 1.3). */
import { defineHidden } from "./properties.ts";

class StrongRef {
  readonly #target: unknown;

  constructor(target: unknown) {
    this.#target = target;
  }

  deref(): unknown {
    return this.#target;
  }

  get [Symbol.toStringTag](): string {
    return "WeakRef";
  }
}

class SilentRegistry {
  constructor(callback: unknown) {
    if (typeof callback !== "function") {
      throw new TypeError("FinalizationRegistry: cleanup must be callable");
    }
  }

  register(): void {}

  unregister(): boolean {
    return false;
  }

  get [Symbol.toStringTag](): string {
    return "FinalizationRegistry";
  }
}

export function hideCollection(): void {
  Object.defineProperty(StrongRef, "name", { value: "WeakRef" });
  Object.defineProperty(SilentRegistry, "name", { value: "FinalizationRegistry" });
  defineHidden(globalThis, { WeakRef: StrongRef, FinalizationRegistry: SilentRegistry });
}
