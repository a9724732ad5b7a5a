/**
 * Keeps what a function did to the realm from the next one (ARCHITECTURE 5a): module state is made anew for
 * every call, but the global object and the built-in objects are the same. There are three kinds of them:
 *
 * - open: libraries add to them and change them for a while, so all of their properties are checked;
 * - sealed: nothing can be added or removed. They must stay assignable all the same: libraries assign methods
 *   to objects that inherit from them, which a constant property would forbid. So their values are checked;
 * - frozen: everything else, above all the built-in functions. Nothing to check.
 *
 * Some ways to change an object lead through a function such as `Object.defineProperty`. These are replaced
 * by versions that note when they are used on an open object. What is left is assignment and `delete`, which
 * show: a new property is enumerable, a changed one has another value. So the check after each call looks at
 * keys and values only; the comparison of all descriptors runs when there is something to repair.
 *
 * 1. `new RealmGuard()` when all globals are installed.
 * 2. `clean()` after every execution.
 */
import { Script } from "node:vm";
import { defineHidden } from "./properties.ts";

interface Assignable {
  readonly object: Record<PropertyKey, unknown>;
  readonly name: PropertyKey;
  readonly value: unknown;
}

interface OpenObject {
  readonly object: object;
  readonly prototype: object | null;
  readonly descriptors: Descriptors;
  readonly names: readonly PropertyKey[];
  readonly enumerableCount: number;
  readonly symbolCount: number;
}

type Descriptors = Readonly<Record<PropertyKey, PropertyDescriptor>>;

/** How an execution had left the realm: properties to set, and to remove, for it to be so again. */
export type Changes = readonly Change[];

interface Change {
  readonly object: object;
  readonly name: PropertyKey;
  /** Undefined: the property was gone. */
  readonly descriptor: PropertyDescriptor | undefined;
}

/** The realm cannot be made as new again; another isolate has to take over. */
export class RealmBroken extends Error {
  override name = "RealmBroken";
}

// Kept: user code may replace them.
const { getOwnPropertyDescriptor, getOwnPropertySymbols, getPrototypeOf, hasOwn, isExtensible } =
  Object;
const { keys } = Object;
const { apply, defineProperty, deleteProperty, ownKeys, setPrototypeOf } = Reflect;
const { exec } = RegExp.prototype;

export class RealmGuard {
  readonly #open: readonly OpenObject[];
  readonly #openSet = new WeakSet<object>();
  /** Every property that assignment could change. */
  readonly #assignable: Assignable[] = [];
  #hasValues: (() => boolean) | null = null;
  readonly #builtIn: ReadonlySet<object>;
  #touched = false;

  constructor() {
    this.#watchDefinitions();
    const { open, sealed, frozen } = sortObjects();
    this.#builtIn = new Set([...open, ...sealed]);
    for (const object of frozen) Object.freeze(object);
    for (const object of sealed) {
      Object.seal(object);
      this.#guardValues(object);
    }
    this.#open = [...open].map((object) => this.#guard(object));
  }

  isBuiltIn(object: object): boolean {
    return this.#builtIn.has(object);
  }

  /**
   * Undoes every change since the last call and returns them; null if there were none. Uses nothing that user
   * code could have replaced, iteration of arrays included.
   * @throws RealmBroken when one cannot be undone.
   */
  clean(): Changes | null {
    // The last match of any regular expression shows in RegExp.$1 and the like.
    apply(exec, /(?:)/, [""]);
    if (!this.#touched && this.#isClean()) return null;
    const changes: Change[] = [];
    for (let i = 0; i < this.#open.length; i++) undoChanges(this.#open[i]!, changes);
    // What is left are values of sealed objects.
    for (let i = 0; i < this.#assignable.length; i++) undoAssignment(this.#assignable[i]!, changes);
    this.#touched = false;
    return changes;
  }

  /** Makes changes again that `clean` undid. */
  redo(changes: Changes): void {
    for (let i = 0; i < changes.length; i++) {
      const { object, name, descriptor } = changes[i]!;
      if (descriptor === undefined) deleteProperty(object, name);
      else defineProperty(object, name, descriptor);
    }
    this.#touched = true;
  }

  #isClean(): boolean {
    this.#hasValues ??= compileCheck(this.#assignable);
    if (!this.#hasValues()) return false;
    for (let i = 0; i < this.#open.length; i++) {
      const { object, enumerableCount, symbolCount } = this.#open[i]!;
      if (keys(object).length !== enumerableCount) return false;
      if (getOwnPropertySymbols(object).length !== symbolCount) return false;
    }
    return true;
  }

  #guard(object: object): OpenObject {
    fixUnassignable(object);
    this.#guardValues(object);
    this.#openSet.add(object);
    const descriptors = descriptorsOf(object);
    return {
      object,
      prototype: getPrototypeOf(object),
      descriptors,
      names: ownKeys(descriptors),
      enumerableCount: keys(object).length,
      symbolCount: getOwnPropertySymbols(object).length,
    };
  }

  #guardValues(object: object): void {
    const descriptors = descriptorsOf(object);
    for (const name of ownKeys(descriptors)) {
      const { value, writable } = descriptors[name]!;
      if (writable !== true) continue;
      this.#assignable.push({ object: object as Assignable["object"], name, value });
    }
  }

  #watchDefinitions(): void {
    this.#watchArguments(Object, [
      "defineProperty",
      "defineProperties",
      "freeze",
      "preventExtensions",
      "seal",
      "setPrototypeOf",
    ]);
    this.#watchArguments(Reflect, ["defineProperty", "preventExtensions", "setPrototypeOf"]);
    this.#watchReceivers(["__defineGetter__", "__defineSetter__"]);
    this.#definePrototypeAccessor();
    this.#watchProxies();
  }

  #watchArguments(owner: object, names: readonly string[]): void {
    const note = (target: object) => this.#note(target);
    for (const name of names) {
      const native = Reflect.get(owner, name) as (...args: unknown[]) => unknown;
      const { [name]: watched } = {
        [name](target: object, second: unknown, third: unknown) {
          note(target);
          return native(target, second, third);
        },
      };
      defineHidden(owner, { [name]: watched });
    }
  }

  #watchReceivers(names: readonly string[]): void {
    const note = (target: object) => this.#note(target);
    for (const name of names) {
      const native = Reflect.get(Object.prototype, name) as (...args: unknown[]) => unknown;
      const { [name]: watched } = {
        [name](this: object, property: unknown, accessor: unknown) {
          note(this);
          return native.call(this, property, accessor);
        },
      };
      defineHidden(Object.prototype, { [name]: watched });
    }
  }

  /** Deno takes this property away; libraries count on it. */
  #definePrototypeAccessor(): void {
    const note = (target: object) => this.#note(target);
    Object.defineProperty(Object.prototype, "__proto__", {
      configurable: true,
      get(this: unknown) {
        return getPrototypeOf(Object(this));
      },
      set(this: unknown, prototype: object | null) {
        const isObject = (typeof this === "object" && this !== null) || typeof this === "function";
        if (!isObject || (typeof prototype !== "object" && typeof prototype !== "function")) return;
        note(this);
        Object.setPrototypeOf(this, prototype);
      },
    });
  }

  /** A proxy of an open object is another way to it. */
  #watchProxies(): void {
    const openSet = this.#openSet;
    const NativeProxy = Proxy;
    const { revocable } = Proxy;
    defineHidden(NativeProxy, {
      revocable(target: object, handler: ProxyHandler<object>) {
        const made = revocable(target, handler);
        if (openSet.has(target)) openSet.add(made.proxy);
        return made;
      },
    });
    const WatchedProxy = new NativeProxy(NativeProxy, {
      construct(_target, [target, handler]) {
        const proxy = new NativeProxy(target, handler);
        if (openSet.has(target)) openSet.add(proxy);
        return proxy;
      },
    });
    defineHidden(globalThis, { Proxy: WatchedProxy });
  }

  #note(target: unknown): void {
    if (this.#openSet.has(target as object)) this.#touched = true;
  }
}

/** Comparisons that one compiled function holds; the engine does not optimize much larger ones. */
const comparisonsMax = 100;

/**
 * A function that says whether every property has its value. It is compiled for these very properties, because
 * a loop over them would look each up in a hash table instead of knowing where it is: ten times the cost.
 */
function compileCheck(assignable: readonly Assignable[]): () => boolean {
  const parts: string[] = [];
  for (let start = 0; start < assignable.length; start += comparisonsMax) {
    const comparisons = assignable.slice(start, start + comparisonsMax).map(({ name }, offset) => {
      const index = start + offset;
      const key = typeof name === "string" ? JSON.stringify(name) : `n${index}`;
      return `o${index}[${key}]===v${index}`;
    });
    parts.push(`()=>${comparisons.join("&&")}`);
  }
  const constants = assignable.map(({ name }, index) =>
    `const {object:o${index},value:v${index}}=p[${index}];` +
    (typeof name === "string" ? "" : `const n${index}=p[${index}].name;`)
  );
  const script = `(p)=>{${constants.join("")}const parts=[${parts.join()}];` +
    `return()=>{for(let i=0;i<parts.length;i++)if(!parts[i]())return false;return true}}`;
  return new Script(script).runInThisContext()(assignable);
}

function descriptorsOf(object: object): Descriptors {
  return Object.getOwnPropertyDescriptors(object) as Descriptors;
}

/** Getters and constants cannot be assigned to; nor shall they be deleted, which no check would notice. */
function fixUnassignable(object: object): void {
  const descriptors = descriptorsOf(object);
  for (const name of ownKeys(descriptors)) {
    if (descriptors[name]!.writable !== true) defineProperty(object, name, { configurable: false });
  }
}

function undoChanges(open: OpenObject, changes: Change[]): void {
  const { object, prototype, descriptors } = open;
  let undone = isExtensible(object);
  if (getPrototypeOf(object) !== prototype) undone &&= setPrototypeOf(object, prototype);
  const current = ownKeys(object);
  for (let i = 0; i < current.length; i++) {
    if (hasOwn(descriptors, current[i]!)) continue;
    undone &&= undoChange(object, current[i]!, undefined, changes);
  }
  const names = open.names;
  for (let i = 0; i < names.length; i++) {
    const wanted = descriptors[names[i]!]!;
    const descriptor = getOwnPropertyDescriptor(object, names[i]!);
    if (isSameProperty(descriptor, wanted)) continue;
    undone &&= undoChange(object, names[i]!, wanted, changes);
  }
  if (!undone) throw new RealmBroken("a built-in object was changed for good");
}

function undoChange(
  object: object,
  name: PropertyKey,
  wanted: PropertyDescriptor | undefined,
  changes: Change[],
): boolean {
  changes[changes.length] = { object, name, descriptor: getOwnPropertyDescriptor(object, name) };
  return wanted === undefined ? deleteProperty(object, name) : defineProperty(object, name, wanted);
}

function undoAssignment({ object, name, value }: Assignable, changes: Change[]): void {
  if (object[name] === value) return;
  changes[changes.length] = { object, name, descriptor: getOwnPropertyDescriptor(object, name) };
  object[name] = value;
}

function isSameProperty(
  a: PropertyDescriptor | undefined,
  b: PropertyDescriptor | undefined,
): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.value === b.value && a.get === b.get && a.set === b.set &&
    a.writable === b.writable && a.enumerable === b.enumerable && a.configurable === b.configurable;
}

const openGlobals = [
  ...["Object", "Function", "Array", "Number", "String", "Symbol", "BigInt", "Date", "Promise"],
  ...["RegExp", "Error", "Map", "Set", "JSON", "Math", "Reflect", "Intl", "Convex", "console"],
  ...["process", "crypto", "performance", "URL", "Headers", "Request", "Response"],
];

const sealedGlobals = [
  ...["AggregateError", "EvalError", "RangeError", "ReferenceError", "SuppressedError"],
  ...["SyntaxError", "TypeError", "URIError", "Boolean", "WeakMap", "WeakSet", "Iterator"],
  ...["ArrayBuffer", "SharedArrayBuffer", "DataView", "Float16Array", "Float32Array"],
  ...["Float64Array", "BigInt64Array", "BigUint64Array", "Int16Array", "Int32Array", "Int8Array"],
  ...["Uint16Array", "Uint32Array", "Uint8Array", "Uint8ClampedArray", "URLSearchParams", "Blob"],
  ...["File", "FormData", "AbortController", "AbortSignal", "Event", "EventTarget", "TextEncoder"],
  ...["TextDecoder", "Crypto", "SubtleCrypto"],
];

/** All objects that user code can reach without making them. */
function sortObjects(): { open: Set<object>; sealed: Set<object>; frozen: Set<object> } {
  const open = new Set([Object.prototype, globalThis, ...openGlobals.flatMap(withPrototype)]);
  const typedArray = getPrototypeOf(Uint8Array);
  const sealed = new Set([
    ...sealedGlobals.flatMap(withPrototype),
    typedArray,
    typedArray.prototype,
  ]);
  const frozen = reachableFrom([globalThis, ...hiddenIntrinsics()]).difference(open)
    .difference(sealed);
  return { open, sealed, frozen };
}

function withPrototype(name: string): object[] {
  const value = Reflect.get(globalThis, name);
  return typeof value === "function" ? [value, value.prototype] : [value];
}

function reachableFrom(roots: readonly object[]): Set<object> {
  const reached = new Set<object>();
  const visit = (value: unknown) => {
    if ((typeof value !== "object" || value === null) && typeof value !== "function") return;
    if (reached.has(value)) return;
    reached.add(value);
    // Methods lead nowhere, and most objects are methods.
    if (typeof value === "function" && !Object.hasOwn(value, "prototype")) return;
    visit(getPrototypeOf(value));
    const descriptors = descriptorsOf(value);
    for (const name of ownKeys(descriptors)) {
      const { value: member, get, set } = descriptors[name]!;
      [member, get, set].forEach(visit);
    }
  };
  roots.forEach(visit);
  return reached;
}

/** Objects of the language that no global leads to. */
function hiddenIntrinsics(): object[] {
  const generator = function* () {};
  const asyncGenerator = async function* () {};
  const iterators = [
    [].values(),
    new Map().values(),
    new Set().values(),
    "".matchAll(/./g),
    ""[Symbol.iterator](),
    Iterator.from({ next: () => ({ done: true, value: undefined }) }),
    [].values().map(String),
  ];
  return [async () => {}, generator, asyncGenerator, asyncGenerator.prototype, ...iterators]
    .map((object) => getPrototypeOf(object));
}
