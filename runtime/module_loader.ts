/**
 * The modules of one deployment inside an isolate. Each is loaded when it is first needed, together with all that
 * it imports: an app may have more code than an isolate has memory. Library code is evaluated then, too, in a realm
 * that no user code has changed.
 */
import { readFileSync } from "node:fs";
import v8 from "node:v8";
import { Script } from "node:vm";
import { DeveloperError } from "../src/errors.ts";
import {
  decodeModuleFactory,
  type ModuleFactory,
  type ModuleHost,
} from "../src/isolate/module_factory.ts";
import type { FunctionPath } from "../src/isolate/function_address.ts";
import type { DeploymentManifest, ModuleEntry } from "../src/isolate/protocol.ts";
import { parseValidator, type Validator } from "../src/values/validator.ts";
import { type ConvexErrorClass, HostFailure } from "./failure.ts";
import { findConvexError, freezeDeep } from "./library_objects.ts";
import type { Realm } from "./realm.ts";
import { SourceMap } from "./source_map.ts";
import type { StackTraces } from "./stack_traces.ts";

/** What a module exports; property names are export names. */
export type Exports = Record<string, unknown>;

/** See src/isolate/module_factory.ts. */
type OuterFunction = (
  shared: readonly (Exports | undefined)[],
  sharedExports: Exports,
  library: (values: readonly unknown[]) => void,
) => InnerFunction;
type InnerFunction = (
  imports: readonly Exports[],
  exports: Exports,
  host: ModuleHost,
) => Iterator<void> | undefined;

export interface LoadedModule {
  readonly path: string;
  readonly factory: Omit<ModuleFactory, "sourceMap">;
  readonly sourceMap: SourceMap | null;
  readonly evaluate: OuterFunction;
  /** By position in `factory.imports`; empty until all of them are found. */
  imports: readonly LoadedModule[];
  /** Null: this module's library code depends on what is not shared. */
  shared: SharedPart | null;
  /** Whether it imports itself, by way of others. */
  isInCycle: boolean;
}

interface SharedPart {
  readonly exports: Exports;
  readonly evaluateRest: InnerFunction;
  /** All that the module exports, if none of it can hold state. */
  readonly everything: Exports | null;
}

/** Characters of code that a deployment may keep loaded; V8 takes some four times as many bytes for code that consists of small functions. */
export const keptCodeMax = v8.getHeapStatistics().heap_size_limit / 5;

export class ModuleLoader {
  readonly manifest: DeploymentManifest;
  readonly #realm: Realm;
  readonly #stackTraces: StackTraces;
  readonly #entries: ReadonlyMap<string, ModuleEntry>;
  /** By path. */
  readonly #compiled = new Map<string, LoadedModule>();
  readonly #linked = new Set<LoadedModule>();
  #codeLength = 0;
  readonly #validators = new Map<string, Validator>();
  #convexError: ConvexErrorClass | null = null;

  constructor(manifest: DeploymentManifest, realm: Realm, stackTraces: StackTraces) {
    this.manifest = manifest;
    this.#realm = realm;
    this.#stackTraces = stackTraces;
    this.#entries = new Map(manifest.modules.map((entry) => [entry.path, entry]));
  }

  /** The class that user code knows as `ConvexError`, if shared code declares it. */
  get convexError(): ConvexErrorClass | null {
    return this.#convexError;
  }

  /** @throws HostFailure, or what V8 finds wrong with the code. */
  get(path: string): LoadedModule {
    const module = this.#compiled.get(path);
    if (module !== undefined && this.#linked.has(module)) return module;
    return this.#realm.apart(() => this.#link(path));
  }

  /** Of all modules that are loaded. */
  get loadedPaths(): readonly string[] {
    return [...this.#compiled.keys()];
  }

  /** Loads a module ahead of its first call, if it is one of this deployment and can be loaded. */
  warmUp(path: string): void {
    if (this.#entries.get(path)?.environment !== "isolate") return;
    try {
      this.get(path);
    } catch {
      // Its first call says why.
    }
  }

  /** The validator of a JSON text that a function exports; null if that is null, or JSON of null. */
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
  checkSchedulable({ module: path, export: name }: FunctionPath): void {
    if (!this.#entries.has(path)) {
      throw new DeveloperError(
        "InvalidScheduledFunction",
        `Attempted to schedule function at nonexistent path: ${path}`,
      );
    }
    if (this.mayHave({ module: path, export: name })) return;
    throw new DeveloperError(
      "InvalidScheduledFunction",
      `Attempted to schedule function, but no exported function ${name} found in the file: ${path}. ` +
        "Did you forget to export it?",
    );
  }

  /** Whether there is such a function. What a Node module exports, or one that cannot be loaded, shows when it runs. */
  mayHave({ module: path, export: name }: FunctionPath): boolean {
    const entry = this.#entries.get(path);
    return entry !== undefined && (entry.environment !== "isolate" || this.#mayExport(path, name));
  }

  #mayExport(path: string, name: string): boolean {
    let module: LoadedModule;
    try {
      module = this.get(path);
    } catch {
      return true;
    }
    return doesExport(module, name);
  }

  /** Characters of all that is loaded. */
  get codeLength(): number {
    return this.#codeLength;
  }

  /** Forgets what was loaded. */
  close(): void {
    for (const path of this.#compiled.keys()) this.#stackTraces.remove(this.#fileName(path));
    this.#compiled.clear();
    this.#linked.clear();
    this.#codeLength = 0;
  }

  /** Loads a module and all that it imports, or nothing. */
  #link(path: string): LoadedModule {
    const graph = new ModuleGraph((each) => this.#compile(each));
    const module = graph.add(path);
    for (const each of graph.modules) checkImports(each);
    for (const each of graph.modules) {
      if (this.#linked.has(each)) continue;
      if (canShare(each)) each.shared = this.#evaluateShared(each);
      this.#linked.add(each);
    }
    return module;
  }

  #compile(path: string): LoadedModule {
    const known = this.#compiled.get(path);
    if (known !== undefined) return known;
    const entry = this.#entries.get(path);
    if (entry?.environment !== "isolate") throw missingModule(path);
    const { version, imports, exports, starExports, isShared, script, sourceMap: mapText } =
      readFactory(entry.file);
    const factory = { version, imports, exports, starExports, isShared, script };
    const sourceMap = mapText === null
      ? null
      : new SourceMap(path, () => readSourceMap(entry.file));
    const fileName = this.#fileName(path);
    if (sourceMap !== null) this.#stackTraces.add(fileName, sourceMap);
    const evaluate = new Script(script, { filename: fileName }).runInThisContext() as OuterFunction;
    const module: LoadedModule = {
      ...{ path, factory, sourceMap, evaluate, imports: [], shared: null, isInCycle: false },
    };
    this.#compiled.set(path, module);
    this.#codeLength += script.length;
    return module;
  }

  #evaluateShared(module: LoadedModule): SharedPart {
    const exports: Exports = {};
    const imported = module.imports.map(({ shared }) => shared?.exports);
    const evaluateRest = module.evaluate(imported, exports, (values) => {
      this.#convexError = findConvexError(values) ?? this.#convexError;
      for (const value of values) freezeDeep(value, this.#realm);
    });
    return { exports, evaluateRest, everything: constantExports(module, exports) };
  }

  /** Another deployment may have the same path with other content. */
  #fileName(path: string): string {
    return `hull:${this.manifest.id}/${path}`;
  }
}

function readFactory(file: string): ModuleFactory {
  return decodeModuleFactory(readFileSync(file));
}

/**
 * Maps are read again when they are needed, because they are large and errors are rare. By then the server may
 * have removed the file, if the deployment is not the live one any more.
 */
function readSourceMap(file: string): string | null {
  try {
    return readFactory(file).sourceMap;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function missingModule(path: string): HostFailure {
  return new HostFailure(
    `Couldn't find JavaScript module '${path}'. Did you forget to run \`npx convex dev\`?`,
  );
}

/** What a module imports, in order of evaluation: imports first, as far as they do not import each other. */
class ModuleGraph {
  readonly modules: LoadedModule[] = [];
  readonly #added = new Set<LoadedModule>();
  /** From the first module to the one whose imports are being added. */
  readonly #path: LoadedModule[] = [];

  constructor(readonly compile: (path: string) => LoadedModule) {}

  add(path: string): LoadedModule {
    const module = this.compile(path);
    const position = this.#path.indexOf(module);
    if (position !== -1) {
      for (const each of this.#path.slice(position)) each.isInCycle = true;
    }
    if (this.#added.has(module)) return module;
    this.#added.add(module);
    this.#path.push(module);
    module.imports = module.factory.imports.map((each) => this.add(each.path));
    this.#path.pop();
    this.modules.push(module);
    return module;
  }
}

/** Shared code may only use what is shared, too. */
function canShare({ factory, imports }: LoadedModule): boolean {
  return factory.imports.every(({ sharedNames }, index) => {
    const { shared, factory: { exports } } = imports[index]!;
    return sharedNames.every((name) =>
      shared !== null && exports.some((each) => each.name === name && each.isShared)
    );
  });
}

/** All exports of a module that is shared together with everything that it imports; else null. */
function constantExports({ factory, imports, ...module }: LoadedModule, own: Exports) {
  if (!factory.isShared) return null;
  const imported = imports.map(({ shared }) => shared?.everything ?? null);
  if (!imported.every((each) => each !== null)) return null;
  const exports = { ...own };
  passOnExports({ factory, imports, ...module }, imported, exports);
  return Object.freeze(exports);
}

function checkImports({ factory, imports }: LoadedModule): void {
  for (const [index, { names, path }] of factory.imports.entries()) {
    for (const name of names) {
      if (doesExport(imports[index]!, name)) continue;
      throw new SyntaxError(
        `The requested module '${path}' does not provide an export named '${name}'`,
      );
    }
  }
}

function doesExport(module: LoadedModule, name: string): boolean {
  return exportNames(module).has(name);
}

/** The names that a module exports, those of `export *` included. `visited` are not asked again. */
function exportNames(
  module: LoadedModule,
  visited: Set<LoadedModule> = new Set(),
): Set<string> {
  const { factory, imports } = module;
  const names = new Set(factory.exports.map((each) => each.name));
  if (visited.has(module)) return names;
  visited.add(module);
  for (const index of factory.starExports) {
    for (const name of exportNames(imports[index]!, visited)) {
      if (name !== "default") names.add(name);
    }
  }
  return names;
}

/** Adds to a module's exports what it exports from its imports. */
export function passOnExports(
  module: LoadedModule,
  imports: readonly Exports[],
  exports: Exports,
): void {
  const { factory } = module;
  const passOn = module.isInCycle ? exportLater : copyExport;
  for (const { name, from } of factory.exports) {
    if (from === undefined) continue;
    const source = imports[from.import]!;
    if (from.name === null) exports[name] = source;
    else passOn(exports, name, source, from.name);
  }
  for (const index of factory.starExports) {
    for (const name of exportNames(module.imports[index]!)) {
      if (name === "default" || Object.hasOwn(exports, name)) continue;
      passOn(exports, name, imports[index]!, name);
    }
  }
}

/** A live export stays live. */
function copyExport(exports: Exports, name: string, source: Exports, sourceName: string): void {
  const descriptor = Object.getOwnPropertyDescriptor(source, sourceName)!;
  Object.defineProperty(exports, name, descriptor);
}

/** For what the source may not have evaluated yet. */
function exportLater(exports: Exports, name: string, source: Exports, sourceName: string): void {
  const get = () => source[sourceName];
  Object.defineProperty(exports, name, { get, enumerable: true, configurable: true });
}
