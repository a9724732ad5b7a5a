/**
 * Keeps what a function did to the realm from the next one (ARCHITECTURE 5a): module state is made anew for
 * every call, but the global object and the built-in objects are the same. There are three kinds of them:
 *
 * - open: libraries add to them and change them for a while, so all of their properties are checked;
 * - sealed: all others that objects and classes of user code can inherit from. Nothing can be added or removed.
 *   They must stay assignable all the same: libraries assign methods to objects that inherit from them, which a
 *   constant property would forbid. So their values are checked;
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
import { builtInObjects } from "./built_in_objects.ts";
import { DefinitionWatch } from "./definition_watch.ts";
import { type Assignable, compileCheck } from "./property_check.ts";

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

/**
 * What Deno itself calls, unprotected, to pass messages on: an isolate in which these have been changed hears of nothing
 * any more. No library is known to replace them.
 */
const constants: readonly (readonly [object: object, name: PropertyKey])[] = [
  [Function.prototype, "call"],
  [Function.prototype, "apply"],
  [Array.prototype, Symbol.iterator],
];

export class RealmGuard {
  readonly #open: readonly OpenObject[];
  readonly #watch = new DefinitionWatch();
  /** Every property that assignment could change. */
  readonly #assignable: Assignable[] = [];
  #hasValues: (() => boolean) | null = null;
  readonly #builtIn: ReadonlySet<object>;

  constructor() {
    const { open, sealed, frozen } = builtInObjects();
    this.#builtIn = new Set([...open, ...sealed]);
    for (const [object, name] of constants) defineProperty(object, name, { writable: false });
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
    if (!this.#watch.wasUsed && this.#isClean()) return null;
    const changes: Change[] = [];
    for (let i = 0; i < this.#open.length; i++) undoChanges(this.#open[i]!, changes);
    // What is left are values of sealed objects.
    for (let i = 0; i < this.#assignable.length; i++) undoAssignment(this.#assignable[i]!, changes);
    this.#watch.wasUsed = false;
    return changes;
  }

  /** Makes changes again that `clean` undid. */
  redo(changes: Changes): void {
    for (let i = 0; i < changes.length; i++) {
      const { object, name, descriptor } = changes[i]!;
      if (descriptor === undefined) deleteProperty(object, name);
      else defineProperty(object, name, descriptor);
    }
    this.#watch.wasUsed = true;
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
    this.#watch.add(object);
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
