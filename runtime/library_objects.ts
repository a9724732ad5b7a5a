/** The function library in shared code: one copy for all calls, so nobody may change it. */
import type { ConvexErrorClass } from "./failure.ts";
import type { Realm } from "./realm.ts";

/** The library's own error class, among the values that its code declares. */
export function findConvexError(values: readonly unknown[]): ConvexErrorClass | undefined {
  return values.find((value) =>
    typeof value === "function" && value.name === "ConvexError" && value.prototype instanceof Error
  ) as ConvexErrorClass | undefined;
}

/** Makes an object and what it leads to constant, but for what is the realm's. */
export function freezeDeep(value: unknown, realm: Realm): void {
  const isObject = typeof value === "object" && value !== null;
  if (!isObject && typeof value !== "function") return;
  if (Object.isFrozen(value) || realm.isBuiltIn(value) || !isPlain(value)) return;
  Object.freeze(value);
  for (const name of Reflect.ownKeys(value)) {
    freezeDeep(Object.getOwnPropertyDescriptor(value, name)!.value, realm);
  }
}

/** Objects that still work when they are frozen; a Map or a RegExp would not. */
function isPlain(value: object): boolean {
  if (typeof value === "function" || Array.isArray(value)) return true;
  const prototype = Object.getPrototypeOf(value);
  const isClassPrototype = Object.hasOwn(value, "constructor");
  return prototype === Object.prototype || prototype === null || isClassPrototype;
}
