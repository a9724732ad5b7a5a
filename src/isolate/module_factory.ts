/**
 * The file that a pushed module becomes: JSON text of `ModuleFactory`, written by
 * src/deploy/module_factory.ts and read by runtime/module_loader.ts.
 *
 * `script` is an expression:
 *
 *     (shared, sharedExports, freeze) => {        evaluated once
 *       …statements of the function library…
 *       return (imports, exports, host) => {      evaluated for every call
 *         …all other statements…
 *       };
 *     }
 *
 * `shared` and `imports` hold export objects by position in `imports`; the script fills `sharedExports`
 * and `exports`.
 */
export interface ModuleFactory {
  readonly version: 1;
  /** In order of evaluation. */
  readonly imports: readonly ModuleImport[];
  readonly exports: readonly ModuleExport[];
  /** Positions in `imports` of `export * from`. */
  readonly starExports: readonly number[];
  /** Nothing is left for the inner function to do. */
  readonly isShared: boolean;
  readonly script: string;
  /** Source map of `script`, JSON text; null when the module came without one. */
  readonly sourceMap: string | null;
}

export interface ModuleImport {
  /** Path in the deployment, or the specifier itself if it names none. */
  readonly path: string;
  /** Exports that it takes. */
  readonly names: readonly string[];
  /** Those of them that the outer function uses. */
  readonly sharedNames: readonly string[];
}

export interface ModuleExport {
  readonly name: string;
  /** Set by the outer function, to a binding that never changes. */
  readonly isShared: boolean;
  /** A binding that functions assign to: a getter, set before anything is evaluated. */
  readonly isLive: boolean;
  /** Passed on from an import by the loader instead of the script; `name` null is the whole module. */
  readonly from?: { readonly import: number; readonly name: string | null };
}

/** What `host` offers the inner function. */
export interface ModuleHost {
  /** Stands for `import(specifier)`. */
  readonly import: (specifier: unknown) => Promise<unknown>;
  /** Stands for `import.meta`; throws. */
  readonly meta: () => never;
  /** Makes getters of `exports` from those of `getters`. */
  readonly live: (exports: object, getters: object) => void;
}
