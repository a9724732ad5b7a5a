/** The modules of one execution, each evaluated anew but for what is shared between calls. */
import type { ModuleHost } from "../src/isolate/module_factory.ts";
import type { ConvexErrorClass } from "./failure.ts";
import { findConvexError } from "./library_objects.ts";
import {
  type Exports,
  type LoadedModule,
  type ModuleLoader,
  passOnExports,
} from "./module_loader.ts";

export class ModuleInstances {
  readonly #loader: ModuleLoader;
  readonly #allowsDynamicImport: boolean;
  readonly #exports = new Map<LoadedModule, Exports>();
  #convexError: ConvexErrorClass | null = null;

  /** `allowsDynamicImport`: the execution is an action. */
  constructor(loader: ModuleLoader, allowsDynamicImport: boolean) {
    this.#loader = loader;
    this.#allowsDynamicImport = allowsDynamicImport;
  }

  /**
   * Evaluates a module and what it imports, unless this execution did so before.
   * @throws what evaluating them throws, or HostFailure.
   */
  import(path: string): Exports {
    return this.#instantiate(this.#loader.get(path));
  }

  /** The class that user code knows as `ConvexError`, if it uses one. */
  get convexError(): ConvexErrorClass | null {
    return this.#convexError ?? this.#loader.convexError;
  }

  #instantiate(module: LoadedModule): Exports {
    const known = module.shared?.everything ?? this.#exports.get(module);
    if (known !== undefined) return known;
    if (module.isInCycle) return this.#instantiateCycle(module);
    const exports: Exports = {};
    this.#exports.set(module, exports);
    const imports = module.imports.map((each) => this.#instantiate(each));
    const evaluation = this.#begin(module, imports, exports);
    evaluation?.next();
    passOnExports(module, imports, exports);
    return exports;
  }

  /**
   * Modules that import each other are evaluated in the order in which they import each other first, but before any
   * of them is, all have exported their functions.
   */
  #instantiateCycle(first: LoadedModule): Exports {
    const evaluations: (Iterator<void> | undefined)[] = [];
    const declare = (module: LoadedModule): Exports => {
      if (!module.isInCycle) return this.#instantiate(module);
      const known = this.#exports.get(module);
      if (known !== undefined) return known;
      const exports: Exports = {};
      this.#exports.set(module, exports);
      const imports = module.imports.map(declare);
      evaluations.push(this.#begin(module, imports, exports));
      passOnExports(module, imports, exports);
      return exports;
    };
    const exports = declare(first);
    for (const evaluation of evaluations) evaluation?.next();
    return exports;
  }

  /** Declares a module's functions. The next step of what it returns evaluates everything else. */
  #begin(
    module: LoadedModule,
    imports: readonly Exports[],
    exports: Exports,
  ): Iterator<void> | undefined {
    const evaluateRest = module.shared?.evaluateRest ?? this.#evaluateLibrary(module, imports);
    const evaluation = evaluateRest(imports, exports, this.#host(module));
    evaluation?.next();
    return evaluation;
  }

  /** For a module whose library code cannot be shared. */
  #evaluateLibrary(module: LoadedModule, imports: readonly Exports[]) {
    return module.evaluate(imports, {}, (values) => {
      this.#convexError = findConvexError(values) ?? this.#convexError;
    });
  }

  #host({ path }: LoadedModule): ModuleHost {
    return {
      import: (specifier) => this.#importDynamically(path, specifier),
      meta: refuseMeta,
      live: defineGetters,
    };
  }

  async #importDynamically(importer: string, specifier: unknown): Promise<unknown> {
    if (!this.#allowsDynamicImport) throw new TypeError("dynamic module import unsupported");
    const { pathname } = new URL(String(specifier), `file:///${importer}`);
    const exports = this.import(decodeURIComponent(pathname.slice(1)));
    return Object.freeze(Object.assign(Object.create(null), exports));
  }
}

function refuseMeta(): never {
  throw new TypeError("import.meta unsupported");
}

function defineGetters(exports: object, getters: object): void {
  Object.defineProperties(exports, Object.getOwnPropertyDescriptors(getters));
}
