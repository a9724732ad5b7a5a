/** Where the author wrote a function. The language does not tell, but its text can be found in the module's script. */
import type { SourceMap } from "./source_map.ts";

/** A module as far as functions are looked for in it. */
export interface PositionedModule {
  readonly path: string;
  readonly factory: { readonly script: string };
  readonly sourceMap: SourceMap | null;
  readonly imports: readonly PositionedModule[];
}

export interface Position {
  /** Of the module, as in the deployment. */
  readonly path: string;
  /** One-based, like `column`. */
  readonly line: number;
  readonly column: number;
}

export class FunctionPositions {
  readonly #module: PositionedModule;
  /** Functions with equal texts are told apart by the order in which they are asked for. */
  readonly #found = new Set<string>();

  constructor(module: PositionedModule) {
    this.#module = module;
  }

  /** Null for a function that comes from another of the author's files. */
  find(value: unknown): Position | null {
    if (typeof value !== "function") return null;
    return this.#findIn(this.#module, String(value), new Set());
  }

  /** A bundler may have put the module's code into a chunk that it imports. */
  #findIn(module: PositionedModule, text: string, visited: Set<PositionedModule>): Position | null {
    visited.add(module);
    const { script } = module.factory;
    for (let start = script.indexOf(text); start !== -1; start = script.indexOf(text, start + 1)) {
      const key = `${module.path}:${start}`;
      const position = this.#found.has(key) ? null : this.#originOf(module, start);
      if (position === null) continue;
      this.#found.add(key);
      return position;
    }
    for (const each of module.imports) {
      const position = visited.has(each) ? null : this.#findIn(each, text, visited);
      if (position !== null) return position;
    }
    return null;
  }

  #originOf({ factory: { script }, sourceMap }: PositionedModule, start: number): Position | null {
    let line = 1, lineStart = 0;
    for (let next; (next = script.indexOf("\n", lineStart)) !== -1 && next < start; line++) {
      lineStart = next + 1;
    }
    const origin = sourceMap?.lookUp(line, start - lineStart + 1);
    if (origin === undefined) return null;
    const { path } = this.#module;
    const withoutExtension = (file: string) => file.replace(/\.[^./]+$/, "");
    const isSame = `/${withoutExtension(origin.source)}`.endsWith(`/${withoutExtension(path)}`);
    return isSame ? { path, line: origin.line, column: origin.column } : null;
  }
}
