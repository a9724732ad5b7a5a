/** All objects that user code can reach without making them, and how realm_guard.ts treats each. */

export interface BuiltInObjects {
  readonly open: ReadonlySet<object>;
  readonly sealed: ReadonlySet<object>;
  readonly frozen: ReadonlySet<object>;
}

const openGlobals = [
  ...["Object", "Function", "Array", "Number", "String", "Symbol", "BigInt", "Date", "Promise"],
  ...["RegExp", "Error", "Map", "Set", "JSON", "Math", "Reflect", "Intl", "Convex", "console"],
  ...["process", "crypto", "performance", "URL", "Headers", "Request", "Response"],
];

/** Call when all globals are installed. */
export function builtInObjects(): BuiltInObjects {
  const open = new Set([Object.prototype, globalThis, ...openGlobals.flatMap(withPrototype)]);
  const others = reachableFrom([globalThis, ...hiddenIntrinsics()]).difference(open);
  const sealed = new Set([...others].filter(isInherited(others)));
  const frozen = others.difference(sealed);
  return { open, sealed, frozen };
}

function withPrototype(name: string): object[] {
  const value = Reflect.get(globalThis, name);
  return typeof value === "function" ? [value, value.prototype] : [value];
}

/** Whether objects or classes that user code makes can inherit from it. */
function isInherited(objects: ReadonlySet<object>): (object: object) => boolean {
  const prototypes = new Set<unknown>(hiddenIntrinsics());
  for (const object of objects) prototypes.add(prototypeOf(object));
  return (object) => prototypeOf(object) !== undefined || prototypes.has(object);
}

/** What objects made by a constructor inherit from. */
function prototypeOf(object: object): unknown {
  return typeof object === "function" && Object.hasOwn(object, "prototype")
    ? object.prototype
    : undefined;
}

function reachableFrom(roots: readonly object[]): Set<object> {
  const reached = new Set<object>();
  const visit = (value: unknown) => {
    if ((typeof value !== "object" || value === null) && typeof value !== "function") return;
    if (reached.has(value)) return;
    reached.add(value);
    // Methods lead nowhere, and most objects are methods.
    if (typeof value === "function" && !Object.hasOwn(value, "prototype")) return;
    visit(Object.getPrototypeOf(value));
    for (const name of Reflect.ownKeys(value)) {
      const { value: member, get, set } = Object.getOwnPropertyDescriptor(value, name)!;
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
    .map((object) => Object.getPrototypeOf(object));
}
