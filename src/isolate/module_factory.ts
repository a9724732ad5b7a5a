/**
 * The file that a pushed module becomes, written by src/deploy/module_factory.ts and read by
 * runtime/module_loader.ts: a line of JSON with everything but the two long texts, which follow as they are,
 * because an isolate has little memory and seldom needs the source map.
 *
 * `script` is an expression:
 *
 *     (shared, sharedExports, freeze) => {        evaluated once
 *       …statements of the function library…
 *       return function* (imports, exports, host) {      evaluated for every call
 *         …exported functions, which modules that import each other can use early…
 *         yield;
 *         …all other statements…
 *       };
 *     }
 *
 * `shared` and `imports` hold export objects by position in `imports`; the script fills `sharedExports`
 * and `exports`.
 */
import { Buffer } from "node:buffer";

export interface ModuleFactory {
  /** In files of version 1 the texts stand in the line of JSON, too, and what is evaluated for every call does not yield. */
  readonly version: 1 | 2;
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

type Header = Omit<ModuleFactory, "script" | "sourceMap"> & {
  readonly scriptBytes: number;
  /** Null when there is no source map. */
  readonly sourceMapBytes: number | null;
};

export function encodeModuleFactory({ script, sourceMap, ...rest }: ModuleFactory): string {
  const header: Header = {
    ...rest,
    scriptBytes: Buffer.byteLength(script),
    sourceMapBytes: sourceMap === null ? null : Buffer.byteLength(sourceMap),
  };
  return `${JSON.stringify(header)}\n${script}${sourceMap ?? ""}`;
}

/** The factory in a file; its source map is decoded when it is asked for. */
export function decodeModuleFactory(file: Buffer): ModuleFactory {
  const start = file.indexOf("\n") + 1 || file.length;
  const header = JSON.parse(file.toString("utf8", 0, start)) as ModuleFactory | Header;
  if ("script" in header) return header;
  const { scriptBytes, sourceMapBytes, ...rest } = header;
  const end = start + scriptBytes;
  return {
    ...rest,
    script: file.toString("utf8", start, end),
    get sourceMap() {
      return sourceMapBytes === null ? null : file.toString("utf8", end, end + sourceMapBytes);
    },
  };
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
