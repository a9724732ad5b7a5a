/**
 * Turns the realm of a fresh worker into the one that functions see (semantics 2, A1): what is not listed
 * there does not exist, and what would make functions unrepeatable is replaced. Runs before any user code.
 */
import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import type { Realm } from "../realm.ts";
import { convexGlobal } from "../syscalls.ts";
import { installClock } from "./clock.ts";
import { refuseCodeGeneration } from "./code_generation.ts";
import { hideCollection } from "./collection.ts";
import { installConsole } from "./console.ts";
import { installFetch } from "./fetch.ts";
import { trackHostWork } from "./host_work.ts";
import { installProcess } from "./process_env.ts";
import { defineHidden } from "./properties.ts";
import { installRandomness } from "./randomness.ts";
import { installResponse } from "./response.ts";
import { installTimers } from "./timers.ts";

const allowed = new Set([
  // ECMAScript
  ...["Array", "ArrayBuffer", "AggregateError", "AsyncDisposableStack", "Atomics", "BigInt"],
  ...["BigInt64Array", "BigUint64Array", "Boolean", "DataView", "Date", "DisposableStack", "Error"],
  ...["EvalError", "FinalizationRegistry", "Float16Array", "Float32Array", "Float64Array"],
  ...["Function", "Infinity", "Int16Array", "Int32Array", "Int8Array", "Intl", "Iterator", "JSON"],
  ...["Map", "Math", "NaN", "Number", "Object", "Promise", "Proxy", "RangeError"],
  ...["ReferenceError", "Reflect", "RegExp", "Set", "SharedArrayBuffer", "String"],
  ...["SuppressedError", "Symbol", "SyntaxError", "TypeError", "URIError", "Uint16Array"],
  ...["Uint32Array", "Uint8Array", "Uint8ClampedArray", "WeakMap", "WeakRef", "WeakSet"],
  ...["decodeURI", "decodeURIComponent", "encodeURI", "encodeURIComponent", "escape", "eval"],
  ...["globalThis", "isFinite", "isNaN", "parseFloat", "parseInt", "undefined", "unescape"],
  // The web
  ...["AbortController", "AbortSignal", "Blob", "Crypto", "CryptoKey", "DOMException", "Event"],
  ...["EventTarget", "File", "FormData", "Headers", "Performance", "PerformanceEntry"],
  ...["PerformanceMark", "PerformanceMeasure", "ReadableStream", "ReadableStreamBYOBReader"],
  ...["ReadableStreamDefaultReader", "Request", "Response", "SubtleCrypto", "TextDecoder"],
  ...["TextDecoderStream", "TextEncoder", "TextEncoderStream", "TransformStream", "URL"],
  ...["URLSearchParams", "WebAssembly", "WritableStream", "WritableStreamDefaultWriter", "atob"],
  ...["btoa", "clearInterval", "clearTimeout", "console", "crypto", "fetch", "performance"],
  ...["process", "self", "setInterval", "setTimeout", "structuredClone"],
  // Ours
  ...["AsyncLocalStorage", "AsyncResource", "Convex"],
]);

export function installGlobals(realm: Realm): void {
  installClock(realm);
  installRandomness(realm);
  installConsole(realm);
  installProcess(realm);
  installTimers(realm);
  installFetch(realm);
  installResponse();
  trackHostWork(realm);
  hideCollection();
  refuseCodeGeneration();
  defineHidden(globalThis, {
    AsyncLocalStorage,
    AsyncResource,
    Convex: convexGlobal(realm),
    crypto,
    self: globalThis,
  });
  removeMembers(URL, ["createObjectURL", "revokeObjectURL"]);
  // Timers in disguise; nobody is there to wait for.
  removeMembers(Atomics, ["waitAsync"]);
  defineHidden(Atomics, {
    wait() {
      throw new TypeError("Atomics.wait cannot be called in this context");
    },
  });
  removeOthers(realm);
}

function removeMembers(owner: object, names: readonly string[]): void {
  for (const name of names) Reflect.deleteProperty(owner, name);
}

function removeOthers(realm: Realm): void {
  // Deno looks this global up by its first use and keeps it.
  queueMicrotask(() => {});
  const { PromiseRejectionEvent } = globalThis;
  for (const name of Reflect.ownKeys(globalThis)) {
    if (!allowed.has(name as string)) Reflect.deleteProperty(globalThis, name);
    else if (Object.getOwnPropertyDescriptor(globalThis, name)!.configurable) {
      // Some are getters that load a class at first use.
      defineHidden(globalThis, { [name]: Reflect.get(globalThis, name) });
    }
  }
  // Deno reports rejections by calling this method of the global object, and ends the thread for what it
  // does not call handled.
  const dispatchEvent = (event: unknown): boolean => {
    if (!(event instanceof PromiseRejectionEvent)) return true;
    event.preventDefault();
    if (event.type === "unhandledrejection") realm.execution.fail(event.reason);
    return false;
  };
  const prototype = Object.create(Object.prototype, { dispatchEvent: { value: dispatchEvent } });
  Object.setPrototypeOf(globalThis, prototype);
}
