/** Timers: for actions only, and never beyond the end of the action. */
import type { Execution } from "../execution.ts";
import type { Realm } from "../realm.ts";
import { defineHidden } from "./properties.ts";
import { failExecution, forbiddenError } from "./refusals.ts";

type StartTimer = (callback: () => void, delayMs: number) => unknown;

export function installTimers(realm: Realm): void {
  const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis;
  /** How to stop each timer, by the number that user code knows it by. */
  const stops = new Map<unknown, () => void>();
  let lastId = 0;
  const stop = (id?: unknown) => stops.get(id)?.();

  const starter =
    (name: string, start: StartTimer, clear: (timer: never) => void) =>
    (callback: unknown, delayMs?: unknown, ...args: unknown[]): number => {
      const { execution } = realm;
      allowTimer(name, execution);
      if (typeof callback !== "function") {
        failExecution(
          execution,
          new TypeError(`${name}() expects a function as its first argument`),
        );
      }
      const id = ++lastId;
      const forget = () => {
        if (stops.delete(id)) execution.pendingOperations--;
      };
      const timer = start(() => {
        if (name === "setTimeout") forget();
        try {
          callback(...args);
        } catch (error) {
          execution.fail(error);
        }
      }, Number(delayMs ?? 0));
      execution.pendingOperations++;
      stops.set(id, () => {
        clear(timer as never);
        forget();
      });
      execution.onEnd(() => stop(id));
      return id;
    };

  defineHidden(globalThis, {
    setTimeout: starter("setTimeout", setTimeout, clearTimeout),
    setInterval: starter("setInterval", setInterval, clearInterval),
    clearTimeout: stop,
    clearInterval: stop,
  });
  const { timeout } = AbortSignal;
  defineHidden(AbortSignal, {
    timeout(delayMs: number): AbortSignal {
      allowTimer("setTimeout", realm.execution);
      return timeout.call(AbortSignal, delayMs);
    },
  });
}

function allowTimer(name: string, execution: Execution): void {
  if (execution.isDeterministic) {
    failExecution(execution, forbiddenError(name, execution));
  }
}
