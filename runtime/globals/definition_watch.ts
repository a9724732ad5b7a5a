/**
 * Ways to change an object that leave no enumerable trace lead through a handful of functions. These are replaced
 * by versions that tell when they are used on a watched object.
 */
import { defineHidden } from "./properties.ts";

// Kept: user code may replace them.
const { apply, defineProperty, getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect;
const { create } = Object;
const { has, add } = WeakSet.prototype;

const definingMethods = {
  Object: ["freeze", "preventExtensions", "seal", "setPrototypeOf"],
  Reflect: ["preventExtensions", "setPrototypeOf"],
};

export class DefinitionWatch {
  /** What is watched; grows by proxies of its members. */
  readonly #objects = new WeakSet<object>();
  /** Whether anything was defined on a watched object since it was last set to false. */
  wasUsed = false;

  constructor() {
    this.#watchDefinitions();
    this.#watchArguments(Object, definingMethods.Object);
    this.#watchArguments(Reflect, definingMethods.Reflect);
    this.#watchReceivers(["__defineGetter__", "__defineSetter__"]);
    this.#definePrototypeAccessor();
    this.#watchProxies();
  }

  add(object: object): void {
    apply(add, this.#objects, [object]);
  }

  #watches(target: unknown): boolean {
    return apply(has, this.#objects, [target]);
  }

  #note(target: unknown): void {
    if (this.#watches(target)) this.wasUsed = true;
  }

  /**
   * What is added to a watched object must be possible to remove again, so constants can be redefined there.
   * Packages such as `openai` do define constants on the global object.
   */
  #watchDefinitions(): void {
    const watched = (target: object, name: PropertyKey, descriptor: unknown) => {
      if (!this.#watches(target)) return descriptor;
      this.wasUsed = true;
      const isConstant = getOwnPropertyDescriptor(target, name)?.configurable === false;
      if (isConstant || !isObject(descriptor)) return descriptor;
      return create(descriptor, { configurable: { value: true } });
    };
    const watches = (target: unknown) => this.#watches(target);
    const { defineProperty: define, defineProperties: defineAll } = Object;
    defineHidden(Object, {
      defineProperty(target: object, name: PropertyKey, descriptor: unknown) {
        return define(target, name, watched(target, name, descriptor) as PropertyDescriptor);
      },
      defineProperties(target: object, descriptors: Record<PropertyKey, unknown>) {
        if (!watches(target)) return defineAll(target, descriptors as PropertyDescriptorMap);
        const names = ownKeys(Object(descriptors));
        for (let i = 0; i < names.length; i++) {
          const name = names[i]!;
          if (getOwnPropertyDescriptor(descriptors, name)!.enumerable !== true) continue;
          define(target, name, watched(target, name, descriptors[name]) as PropertyDescriptor);
        }
        return target;
      },
    });
    defineHidden(Reflect, {
      defineProperty(target: object, name: PropertyKey, descriptor: unknown) {
        return defineProperty(
          target,
          name,
          watched(target, name, descriptor) as PropertyDescriptor,
        );
      },
    });
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
          return apply(native, this, [property, accessor]);
        },
      };
      defineHidden(Object.prototype, { [name]: watched });
    }
  }

  /** Deno takes this property away; libraries count on it. */
  #definePrototypeAccessor(): void {
    const note = (target: object) => this.#note(target);
    const { setPrototypeOf } = Object;
    Object.defineProperty(Object.prototype, "__proto__", {
      configurable: true,
      get(this: unknown) {
        return getPrototypeOf(Object(this));
      },
      set(this: unknown, prototype: object | null) {
        const isObject = (typeof this === "object" && this !== null) || typeof this === "function";
        if (!isObject || (typeof prototype !== "object" && typeof prototype !== "function")) return;
        note(this);
        setPrototypeOf(this, prototype);
      },
    });
  }

  /** A proxy of a watched object is another way to it. */
  #watchProxies(): void {
    const NativeProxy = Proxy;
    const { revocable } = Proxy;
    const watchAlso = (proxy: object, target: object) => {
      if (this.#watches(target)) this.add(proxy);
      return proxy;
    };
    defineHidden(NativeProxy, {
      revocable(target: object, handler: ProxyHandler<object>) {
        const made = revocable(target, handler);
        watchAlso(made.proxy, target);
        return made;
      },
    });
    const WatchedProxy = new NativeProxy(NativeProxy, {
      construct: (_target, [target, handler]) =>
        watchAlso(new NativeProxy(target, handler), target),
    });
    defineHidden(globalThis, { Proxy: WatchedProxy });
  }
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}
