/** The `console` of functions (function-abi 17): nine methods and nothing else. */
import inspect from "object-inspect";
import type { LogLevel } from "../../src/isolate/protocol.ts";
import type { Realm } from "../realm.ts";
import { defineHidden } from "./properties.ts";

const inspectOptions = { indent: 2, customInspect: true, maxStringLength: 32_768 } as const;
const monotonicNow = performance.now.bind(performance);

const levels = { debug: "DEBUG", error: "ERROR", info: "INFO", log: "LOG", warn: "WARN" } as const;

export function installConsole(realm: Realm): void {
  const print = (level: LogLevel, args: readonly unknown[]) =>
    realm.execution.log.add(level, args.map(render));
  const timers = new Timers(realm);
  const console: Record<string, unknown> = {};
  for (const [name, level] of Object.entries(levels)) {
    console[name] = (...args: unknown[]) => print(level, args);
  }
  Object.assign(console, {
    trace: (...args: unknown[]) =>
      realm.execution.log.add("LOG", [...args.map(render), `\n${new Error().stack}`]),
    time: (label?: unknown) => timers.start(labelText(label)),
    timeLog: (label?: unknown, ...args: unknown[]) =>
      timers.print(labelText(label), args.map(render)),
    timeEnd: (label?: unknown) => timers.end(labelText(label)),
  });
  defineHidden(globalThis, { console });
}

function render(value: unknown): string {
  try {
    return inspect(value, inspectOptions);
  } catch (error) {
    return `[value that cannot be shown: ${error}]`;
  }
}

function labelText(label: unknown): string {
  return label === undefined ? "default" : String(label);
}

/** Timers of `console.time`. They show real time, even in queries: logs may. */
class Timers {
  /** By execution, so that nothing outlives a call. */
  readonly #startedAt = new WeakMap<object, Map<string, number>>();

  constructor(readonly realm: Realm) {}

  start(label: string): void {
    const started = this.#started();
    if (started.has(label)) return this.#warn(`Timer '${label}' already exists`);
    started.set(label, monotonicNow());
  }

  print(label: string, rest: readonly string[]): void {
    const startedAt = this.#started().get(label);
    if (startedAt === undefined) return this.#warn(`Timer '${label}' does not exist`);
    const elapsedMs = Math.floor(monotonicNow() - startedAt);
    this.realm.execution.log.add("INFO", [`${label}: ${elapsedMs}ms`, ...rest]);
  }

  end(label: string): void {
    this.print(label, []);
    this.#started().delete(label);
  }

  #started(): Map<string, number> {
    const { execution } = this.realm;
    let started = this.#startedAt.get(execution);
    if (started === undefined) this.#startedAt.set(execution, started = new Map());
    return started;
  }

  #warn(message: string): void {
    this.realm.execution.log.add("WARN", [message]);
  }
}
