/** What a module takes from others and gives to them: its import and export declarations. */
import type {
  ExportNamedDeclaration,
  ExportSpecifier,
  Identifier,
  ImportDeclaration,
  Literal,
  Program,
} from "acorn";
import { boundNames } from "./scope_analysis.ts";

/** A binding of another module: export `name` of the `import`-th imported module; `name` null is the whole module. */
export interface ImportedName {
  readonly import: number;
  readonly name: string | null;
}

export interface LinkedModule {
  /** Path in the deployment, or the specifier itself if it names none. */
  readonly path: string;
  readonly names: Set<string>;
}

export interface ModuleLinks {
  /** In order of evaluation. */
  readonly modules: readonly LinkedModule[];
  /** By local name. */
  readonly imported: ReadonlyMap<string, ImportedName>;
  /** Exported name and the local name behind it. */
  readonly exports: ReadonlyMap<string, string>;
  /** `export … from`. */
  readonly passedOn: ReadonlyMap<string, ImportedName>;
  /** `export * from`, as positions in `modules`. */
  readonly starExports: readonly number[];
}

/** `defaultName` stands for the value of an anonymous default export. */
export function readLinks(program: Program, path: string, defaultName: string): ModuleLinks {
  const reader = new LinkReader(path, defaultName);
  for (const statement of program.body) {
    switch (statement.type) {
      case "ImportDeclaration":
        reader.readImport(statement);
        break;
      case "ExportNamedDeclaration":
        reader.readNamedExport(statement);
        break;
      case "ExportDefaultDeclaration": {
        const { declaration } = statement;
        const id = "id" in declaration ? declaration.id as Identifier | null : null;
        const isDeclaration = declaration.type.endsWith("Declaration");
        reader.exports.set("default", isDeclaration && id !== null ? id.name : defaultName);
        break;
      }
      case "ExportAllDeclaration": {
        const module = reader.moduleOf(statement.source);
        if (statement.exported === null) reader.starExports.push(module);
        else reader.passedOn.set(exportedName(statement.exported!), { import: module, name: null });
      }
    }
  }
  return reader.finish();
}

class LinkReader {
  readonly #modules: LinkedModule[] = [];
  readonly #imported = new Map<string, ImportedName>();
  readonly exports = new Map<string, string>();
  readonly passedOn = new Map<string, ImportedName>();
  readonly starExports: number[] = [];

  constructor(readonly path: string, readonly defaultName: string) {}

  moduleOf(source: Literal): number {
    const path = resolveSpecifier(this.path, String(source.value));
    const known = this.#modules.findIndex((module) => module.path === path);
    if (known >= 0) return known;
    return this.#modules.push({ path, names: new Set() }) - 1;
  }

  readImport(statement: ImportDeclaration): void {
    const module = this.moduleOf(statement.source);
    for (const specifier of statement.specifiers) {
      const name = specifier.type === "ImportNamespaceSpecifier"
        ? null
        : specifier.type === "ImportDefaultSpecifier"
        ? "default"
        : exportedName(specifier.imported);
      if (name !== null) this.#modules[module]!.names.add(name);
      this.#imported.set(specifier.local.name, { import: module, name });
    }
  }

  readNamedExport(statement: ExportNamedDeclaration): void {
    if (statement.declaration) {
      const declared = statement.declaration.type === "VariableDeclaration"
        ? statement.declaration.declarations.flatMap(({ id }) => [...boundNames(id)])
        : [statement.declaration.id.name];
      for (const name of declared) this.exports.set(name, name);
    }
    for (const specifier of statement.specifiers) {
      const name = exportedName(specifier.exported);
      if (statement.source) this.#passOn(name, statement.source, specifier);
      else this.exports.set(name, exportedName(specifier.local));
    }
  }

  #passOn(name: string, source: Literal, specifier: ExportSpecifier): void {
    const module = this.moduleOf(source);
    const taken = exportedName(specifier.local);
    this.#modules[module]!.names.add(taken);
    this.passedOn.set(name, { import: module, name: taken });
  }

  /** `import {a} from "x"; export {a}` passes on as well. */
  finish(): ModuleLinks {
    for (const [name, local] of this.exports) {
      const imported = this.#imported.get(local);
      if (imported === undefined) continue;
      this.exports.delete(name);
      this.passedOn.set(name, imported);
    }
    const { exports, passedOn, starExports } = this;
    return { modules: this.#modules, imported: this.#imported, exports, passedOn, starExports };
  }
}

function exportedName(node: Identifier | Literal): string {
  return node.type === "Identifier" ? node.name : String(node.value);
}

/** The deployment's path for a relative specifier; another specifier as it is. */
export function resolveSpecifier(importer: string, specifier: string): string {
  if (!/^\.{0,2}\//.test(specifier)) return specifier;
  const { pathname } = new URL(specifier, `file:///${importer}`);
  return decodeURIComponent(pathname.slice(1));
}
