/** `Date`, `performance` and everything else that would show the time: all of it is the execution's. */
import type { Realm } from "../realm.ts";
import { defineHidden } from "./properties.ts";
import { notImplemented } from "./refusals.ts";

export function installClock(realm: Realm): void {
  installDate(realm);
  installPerformance(realm);
  hideTimeInIntl(realm);
  hideTimeInFiles(realm);
}

function installDate(realm: Realm): void {
  const NativeDate = Date;
  const now = () => realm.execution.now();
  function ExecutionDate(...args: unknown[]): unknown {
    if (new.target === undefined) return new NativeDate(now()).toString();
    return Reflect.construct(NativeDate, args.length === 0 ? [now()] : args, new.target);
  }
  Object.defineProperty(ExecutionDate, "name", { value: "Date" });
  Object.defineProperty(ExecutionDate, "length", { value: NativeDate.length });
  Object.defineProperty(ExecutionDate, "prototype", {
    value: NativeDate.prototype,
    writable: false,
  });
  defineHidden(ExecutionDate, { now, parse: NativeDate.parse, UTC: NativeDate.UTC });
  defineHidden(NativeDate.prototype, { constructor: ExecutionDate });
  defineHidden(globalThis, { Date: ExecutionDate });
}

function installPerformance(realm: Realm): void {
  const unavailable = Object.fromEntries(
    Object.getOwnPropertyNames(Performance.prototype)
      .filter((name) => !["constructor", "now", "timeOrigin", "toJSON"].includes(name))
      .map((name) => [name, notImplemented(realm, name, "Performance")]),
  );
  const performance = Object.create(Performance.prototype);
  defineHidden(performance, {
    ...unavailable,
    now: () => realm.execution.performanceNow(),
    toJSON: () => ({ timeOrigin: realm.execution.timeOrigin }),
  });
  Object.defineProperty(performance, "timeOrigin", {
    get: () => realm.execution.timeOrigin,
    configurable: true,
  });
  defineHidden(globalThis, { performance });
}

/** `format()` without a date means the current one. */
function hideTimeInIntl(realm: Realm): void {
  const prototype = Intl.DateTimeFormat.prototype;
  const { get: getFormat } = Object.getOwnPropertyDescriptor(prototype, "format")!;
  const formatToParts = prototype.formatToParts;
  const orNow = (date?: unknown) => (date === undefined ? realm.execution.now() : date) as number;
  Object.defineProperty(prototype, "format", {
    configurable: true,
    get() {
      const format = getFormat!.call(this);
      return (date?: unknown) => format(orNow(date));
    },
  });
  defineHidden(prototype, {
    formatToParts(this: Intl.DateTimeFormat, date?: unknown) {
      return formatToParts.call(this, orNow(date));
    },
  });
}

/** A file is last modified now, and an event happens now, unless somebody says otherwise. */
function hideTimeInFiles(realm: Realm): void {
  const NativeFile = File;
  class ExecutionFile extends NativeFile {
    constructor(parts: BlobPart[], name: string, options: FilePropertyBag = {}) {
      super(parts, name, { lastModified: realm.execution.now(), ...options });
    }
  }
  Object.defineProperty(ExecutionFile, "name", { value: "File" });
  defineHidden(globalThis, { File: ExecutionFile });
  Object.defineProperty(Event.prototype, "timeStamp", {
    configurable: true,
    get: () => realm.execution.performanceNow(),
  });
}
