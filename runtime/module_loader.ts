/**
 * The modules of one deployment inside an isolate. All are compiled when the deployment arrives, and their
 * library code is evaluated then, too: no user code is running that could have changed what it sees.
 */
import { readFileSync } from "node:fs";
import { Script } from "node:vm";
import { DeveloperError } from "../src/errors.ts";
import type { ModuleFactory, ModuleHost } from "../src/isolate/module_factory.ts";
import type { DeploymentManifest, ModuleEntry } from "../src/isolate/protocol.ts";
import { parseValidator, type Validator } from "../src/values/validator.ts";
import { type ConvexErrorClass, HostFailure } from "./failure.ts";
import type { FunctionPath } from "./function_address.ts";
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
type InnerFunction = (imports: readonly Exports[], exports: Exports, host: ModuleHost) => void;

export interface LoadedModule {
  readonly path: string;
  readonly factory: Omit<ModuleFactory, "sourceMap">;
  readonly sourceMap: SourceMap | null;
  readonly evaluate: OuterFunction;
  /** By position in `factory.imports`. */
  readonly imports: readonly LoadedModule[];
  /** Null: this module's library code depends on what is not shared. */
  shared: SharedPart | null;
}

interface SharedPart {
  readonly exports: Exports;
  readonly evaluateRest: InnerFunction;
  /** All that the module exports, if none of it can hold state. */
  readonly everything: Exports | null;
}

export class ModuleLoader {
  readonly manifest: DeploymentManifest;
  readonly #realm: Realm;
  readonly #stackTraces: StackTraces;
  readonly #entries: ReadonlyMap<string, ModuleEntry>;
  /** By path; what is wrong with a module that could not be loaded. */
  readonly #modules = new Map<string, LoadedModule | { readonly problem: unknown }>();
  readonly #validators = new Map<string, Validator>();
  #convexError: ConvexErrorClass | null = null;

  constructor(manifest: DeploymentManifest, realm: Realm, stackTraces: StackTraces) {
    this.manifest = manifest;
    this.#realm = realm;
    this.#stackTraces = stackTraces;
    this.#entries = new Map(manifest.modules.map((entry) => [entry.path, entry]));
    for (const { path } of manifest.modules) this.#tryLoad(path, []);
  }

  /** The class that user code knows as `ConvexError`, if shared code declares it. */
  get convexError(): ConvexErrorClass | null {
    return this.#convexError;
  }

  /** @throws HostFailure, or what V8 finds wrong with the code. */
  get(path: string): LoadedModule {
    const module = this.#modules.get(path);
    if (module === undefined) throw missingModule(path);
    if ("problem" in module) throw module.problem;
    return module;
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
    const module = this.#modules.get(path);
    // What a Node module exports, or one that cannot be loaded, shows when it runs.
    if (module === undefined || "problem" in module || doesExport(module, name)) return;
    throw new DeveloperError(
      "InvalidScheduledFunction",
      `Attempted to schedule function, but no exported function ${name} found in the file: ${path}. ` +
        "Did you forget to export it?",
    );
  }

  /** Forgets what was loaded. */
  close(): void {
    for (const { path } of this.manifest.modules) this.#stackTraces.remove(this.#fileName(path));
  }

  #tryLoad(path: string, importers: readonly string[]): void {
    if (this.#modules.has(path) || this.#entries.get(path)?.environment !== "isolate") return;
    try {
      this.#modules.set(path, this.#load(path, [...importers, path]));
    } catch (problem) {
      this.#modules.set(path, { problem });
    }
  }

  #load(path: string, importers: readonly string[]): LoadedModule {
    const { file } = this.#entries.get(path)!;
    const { sourceMap: mapText, ...factory } = readFactory(file);
    const imports = factory.imports.map((each) => this.#import(each.path, importers));
    const sourceMap = mapText === null ? null : new SourceMap(path, () => readSourceMap(file));
    const fileName = this.#fileName(path);
    if (sourceMap !== null) this.#stackTraces.add(fileName, sourceMap);
    const script = new Script(factory.script, { filename: fileName });
    const evaluate = script.runInThisContext() as OuterFunction;
    const module: LoadedModule = { path, factory, sourceMap, evaluate, imports, shared: null };
    checkImports(module);
    if (canShare(module)) module.shared = this.#evaluateShared(module);
    return module;
  }

  #import(path: string, importers: readonly string[]): LoadedModule {
    if (importers.includes(path)) {
      throw new HostFailure(`Modules import each other: ${[...importers, path].join(" -> ")}`);
    }
    this.#tryLoad(path, importers);
    return this.get(path);
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
  return JSON.parse(readFileSync(file, "utf8"));
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

function doesExport({ factory, imports }: LoadedModule, name: string): boolean {
  return factory.exports.some((each) => each.name === name) ||
    (name !== "default" && factory.starExports.some((index) => doesExport(imports[index]!, name)));
}

/** Adds to a module's exports what it exports from its imports. */
export function passOnExports(
  { factory }: LoadedModule,
  imports: readonly Exports[],
  exports: Exports,
): void {
  for (const { name, from } of factory.exports) {
    if (from === undefined) continue;
    const source = imports[from.import]!;
    if (from.name === null) exports[name] = source;
    else copyExport(exports, name, source, from.name);
  }
  for (const index of factory.starExports) {
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
