/**
 * The modules of one deployment inside an isolate. Each is compiled once; every execution gets instances of
 * its own, except for what module_factory.ts found to hold no state.
 */
import { readFileSync } from "node:fs";
import { Script } from "node:vm";
import { DeveloperError } from "../src/errors.ts";
import type { ModuleFactory, ModuleHost } from "../src/isolate/module_factory.ts";
import type { DeploymentManifest, ModuleEntry } from "../src/isolate/protocol.ts";
import { parseValidator, type Validator } from "../src/values/validator.ts";
import { type ConvexErrorClass, HostFailure } from "./failure.ts";
import type { FunctionPath } from "./function_address.ts";
import type { Realm } from "./realm.ts";
import { SourceMap } from "./source_map.ts";
import type { StackTraces } from "./stack_traces.ts";

/** What a module exports; property names are export names. */
export type Exports = Record<string, unknown>;

type OuterFunction = (
  shared: readonly (Exports | undefined)[],
  sharedExports: Exports,
  library: (values: readonly unknown[]) => void,
) => InnerFunction;
type InnerFunction = (imports: readonly Exports[], exports: Exports, host: ModuleHost) => void;

export interface LoadedModule {
  readonly path: string;
  readonly factory: ModuleFactory;
  readonly sourceMap: SourceMap | null;
  readonly evaluate: OuterFunction;
  /** By position in `factory.imports`. */
  readonly imports: readonly LoadedModule[];
  /** Once per isolate; null: this module's library code depends on what is not shared. */
  shared: SharedPart | null;
}

interface SharedPart {
  readonly exports: Exports;
  readonly evaluateRest: InnerFunction;
  /** All that the module exports, if none of it can hold state. */
  readonly everything: Exports | null;
}

export class ModuleLoader {
  readonly #entries: ReadonlyMap<string, ModuleEntry>;
  readonly #modules = new Map<string, LoadedModule>();
  readonly #fileNames = new Set<string>();
  /** Of the function library in shared code. */
  convexError: ConvexErrorClass | null = null;

  readonly #realm: Realm;
  readonly #stackTraces: StackTraces;
  readonly #validators = new Map<string, Validator>();

  constructor(readonly manifest: DeploymentManifest, realm: Realm, stackTraces: StackTraces) {
    this.#entries = new Map(manifest.modules.map((entry) => [entry.path, entry]));
    this.#realm = realm;
    this.#stackTraces = stackTraces;
  }

  /** The validator of a JSON text that a function of this deployment exports; null if that is null, or JSON of null. */
  validator(json: string | null): Validator | null {
    if (json === null || json === "null") return null;
    let validator = this.#validators.get(json);
    if (validator === undefined) {
      this.#validators.set(json, validator = parseValidator(JSON.parse(json)));
    }
    return validator;
  }

  /**
   * Whether a function can be scheduled is decided by what is deployed, not by running its module.
   * @throws DeveloperError when it does not exist (function-abi 8.1).
   */
  checkSchedulable({ module, export: name }: FunctionPath): void {
    const entry = this.#entries.get(module);
    if (entry === undefined) {
      throw new DeveloperError(
        "InvalidScheduledFunction",
        `Attempted to schedule function at nonexistent path: ${module}`,
      );
    }
    // What a Node module exports is not known here.
    if (entry.environment === "node" || doesExport(this.load(module), name)) return;
    throw new DeveloperError(
      "InvalidScheduledFunction",
      `Attempted to schedule function, but no exported function ${name} found in the file: ${module}. ` +
        "Did you forget to export it?",
    );
  }

  /**
   * Compiles a module and what it imports, and evaluates their shared parts: no user code has run then that
   * could have changed what these see.
   * @throws HostFailure, or what V8 finds wrong with the code.
   */
  load(path: string): LoadedModule {
    return this.#load(path, []);
  }

  #load(path: string, importers: readonly string[]): LoadedModule {
    const known = this.#modules.get(path);
    if (known !== undefined) return known;
    if (importers.includes(path)) {
      throw new HostFailure(`Modules import each other: ${[...importers, path].join(" -> ")}`);
    }
    const entry = this.#entries.get(path);
    if (entry === undefined || entry.environment !== "isolate") throw missingModule(path);
    const factory: ModuleFactory = JSON.parse(readFileSync(entry.file, "utf8"));
    const imports = factory.imports.map((each) => this.#load(each.path, [...importers, path]));
    const sourceMap = factory.sourceMap === null ? null : new SourceMap(factory.sourceMap);
    const evaluate = this.#compile(path, factory.script, sourceMap);
    const module: LoadedModule = { path, factory, sourceMap, evaluate, imports, shared: null };
    checkImports(module);
    if (canShare(module)) module.shared = this.#evaluateShared(module);
    this.#modules.set(path, module);
    return module;
  }

  #compile(path: string, script: string, sourceMap: SourceMap | null): OuterFunction {
    // Another deployment may have the same path with other content.
    const filename = `hull:${this.manifest.id}/${path}`;
    this.#fileNames.add(filename);
    if (sourceMap !== null) this.#stackTraces.add(filename, sourceMap);
    return new Script(script, { filename }).runInThisContext() as OuterFunction;
  }

  #evaluateShared(module: LoadedModule): SharedPart {
    const exports: Exports = {};
    const imported = module.imports.map(({ shared }) => shared?.exports);
    const evaluateRest = module.evaluate(imported, exports, (values) => {
      this.convexError = findConvexError(values) ?? this.convexError;
      for (const value of values) freezeDeep(value, this.#realm);
    });
    const isConstant = module.factory.isShared &&
      module.imports.every(({ shared }) => shared?.everything);
    const everything = isConstant ? { ...exports } : null;
    if (everything !== null) {
      passOn(module, module.imports.map(({ shared }) => shared!.everything!), everything);
      Object.freeze(everything);
    }
    return { exports, evaluateRest, everything };
  }

  /** Forgets what was loaded. */
  close(): void {
    for (const fileName of this.#fileNames) this.#stackTraces.remove(fileName);
  }
}

/** The module instances of one execution. */
export class ModuleInstances {
  readonly #instances = new Map<LoadedModule, Exports>();
  #convexError: ConvexErrorClass | null = null;

  /** `allowDynamicImport`: the execution is an action. */
  constructor(readonly loader: ModuleLoader, readonly allowDynamicImport: boolean) {}

  /** Evaluates a module and what it imports, unless this execution did so before. */
  import(path: string): Exports {
    return this.#instantiate(this.loader.load(path));
  }

  /** The class that user code knows as `ConvexError`, if it uses one. */
  get convexError(): ConvexErrorClass | null {
    return this.#convexError ?? this.loader.convexError;
  }

  #instantiate(module: LoadedModule): Exports {
    const constant = module.shared?.everything ?? this.#instances.get(module);
    if (constant !== undefined) return constant;
    const exports: Exports = {};
    this.#instances.set(module, exports);
    const imports = module.imports.map((each) => this.#instantiate(each));
    const evaluateRest = module.shared?.evaluateRest ??
      module.evaluate(imports, {}, (values) => {
        this.#convexError = findConvexError(values) ?? this.#convexError;
      });
    evaluateRest(imports, exports, this.#host(module));
    passOn(module, imports, exports);
    return exports;
  }

  #host(module: LoadedModule): ModuleHost {
    return {
      import: (specifier) => this.#importDynamically(module.path, specifier),
      meta: () => {
        throw new TypeError("import.meta unsupported");
      },
      live: defineGetters,
    };
  }

  async #importDynamically(importer: string, specifier: unknown): Promise<unknown> {
    if (!this.allowDynamicImport) throw new TypeError("dynamic module import unsupported");
    const { pathname } = new URL(String(specifier), `file:///${importer}`);
    const exports = this.import(decodeURIComponent(pathname.slice(1)));
    return Object.freeze(Object.assign(Object.create(null), exports));
  }
}

function missingModule(path: string): HostFailure {
  return new HostFailure(
    `Couldn't find JavaScript module '${path}'. Did you forget to run \`npx convex dev\`?`,
  );
}

/** Shared code may only use what is shared, too. */
function canShare(module: LoadedModule): boolean {
  return module.factory.imports.every(({ sharedNames }, index) => {
    const { shared, factory } = module.imports[index]!;
    return sharedNames.every((name) =>
      shared !== null && factory.exports.some((each) => each.name === name && each.isShared)
    );
  });
}

function checkImports(module: LoadedModule): void {
  for (const [index, { names, path }] of module.factory.imports.entries()) {
    for (const name of names) {
      if (doesExport(module.imports[index]!, name)) continue;
      throw new SyntaxError(
        `The requested module '${path}' does not provide an export named '${name}'`,
      );
    }
  }
}

function doesExport(module: LoadedModule, name: string): boolean {
  const { exports, starExports } = module.factory;
  return exports.some((each) => each.name === name) ||
    (name !== "default" && starExports.some((index) => doesExport(module.imports[index]!, name)));
}

/** Adds what a module exports from its imports. */
function passOn(module: LoadedModule, imports: readonly Exports[], exports: Exports): void {
  const { exports: declared, starExports } = module.factory;
  for (const { name, from } of declared) {
    if (from === undefined) continue;
    const source = imports[from.import]!;
    if (from.name === null) exports[name] = source;
    else copyExport(exports, name, source, from.name);
  }
  for (const index of starExports) {
    for (const name of Object.keys(imports[index]!)) {
      if (name === "default" || Object.hasOwn(exports, name)) continue;
      copyExport(exports, name, imports[index]!, name);
    }
  }
}

/** A live export stays live. */
function copyExport(exports: Exports, name: string, source: Exports, sourceName: string): void {
  const descriptor = Object.getOwnPropertyDescriptor(source, sourceName)!;
  Object.defineProperty(exports, name, descriptor);
}

function defineGetters(exports: object, getters: object): void {
  Object.defineProperties(exports, Object.getOwnPropertyDescriptors(getters));
}

function findConvexError(values: readonly unknown[]): ConvexErrorClass | undefined {
  return values.find((value) =>
    typeof value === "function" && value.name === "ConvexError" && value.prototype instanceof Error
  ) as ConvexErrorClass | undefined;
}

/** Makes library objects constant, as they are shared between calls. */
function freezeDeep(value: unknown, realm: Realm): void {
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
