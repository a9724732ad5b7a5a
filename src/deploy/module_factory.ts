/**
 * Turns a pushed ES module into a script that isolates compile once and evaluate anew for every call
 * (ARCHITECTURE 5a).
 *
 * Statements of the function library hold no state and are the bulk of a small app, so they are evaluated once
 * and shared between calls (shared_statements.ts); all others move behind them, in their order.
 */
import { TraceMap } from "@jridgewell/trace-mapping";
import { parse, type Program } from "acorn";
import { DeveloperError } from "../errors.ts";
import {
  encodeModuleFactory,
  type ModuleExport,
  type ModuleFactory,
  type ModuleImport,
} from "../isolate/module_factory.ts";
import { type ImportedName, type ModuleLinks, readLinks } from "./module_links.ts";
import { analyzeStatements, type Reference, type StatementNames } from "./scope_analysis.ts";
import { type Edit, ScriptWriter } from "./script_writer.ts";
import { Bindings, chooseShared } from "./shared_statements.ts";

export interface SourceModule {
  /** In the deployment: `dir/file.js`. */
  readonly path: string;
  /** ES module. */
  readonly source: string;
  /** JSON text; without one nothing of the module is shared. */
  readonly sourceMap?: string | null;
}

/**
 * The content of the module's factory file, the same for the same input.
 * @throws DeveloperError when the module is no valid code or uses what isolates do not have.
 */
export async function buildModuleFactory(module: SourceModule): Promise<string> {
  const factory = new FactoryBuilder(module).build();
  return encodeModuleFactory(factory);
}

class FactoryBuilder {
  readonly #source: string;
  readonly #map: TraceMap | null;
  readonly #statements: readonly StatementNames[];
  readonly #links: ModuleLinks;
  /** Statements by position that are evaluated once. */
  readonly #shared: ReadonlySet<number>;
  readonly #bindings: Bindings;
  /** Begins every name that the script adds; the module does not contain it. */
  readonly #prefix: string;
  readonly #writer: ScriptWriter;

  constructor(module: SourceModule) {
    this.#source = module.source;
    this.#map = parseMap(module.sourceMap);
    const program = parseModule(module.source);
    this.#prefix = unusedName(module.source);
    this.#statements = analyzeStatements(program);
    if (this.#statements.some(({ awaits }) => awaits)) {
      throw invalid("Top-level awaits in source files are unsupported");
    }
    this.#links = readLinks(program, module.path, `${this.#prefix}default`);
    this.#bindings = new Bindings(this.#statements, this.#links);
    this.#shared = this.#map === null
      ? new Set()
      : chooseShared(this.#statements, this.#bindings, { map: this.#map, source: module.source });
    this.#writer = new ScriptWriter(module.source);
  }

  build(): ModuleFactory {
    this.#writeScript();
    const script = this.#writer.text;
    checkScript(script, `${this.#prefix}host.import`);
    return {
      version: 2,
      imports: this.#imports(),
      exports: this.#exports(),
      starExports: this.#links.starExports,
      isShared: this.#perCall().every((index) => this.#isDeclarationOnly(index)),
      script,
      sourceMap: this.#map && this.#writer.moveSourceMap(this.#map),
    };
  }

  #writeScript(): void {
    const $ = this.#prefix;
    const writer = this.#writer;
    const exports = this.#exports();
    writer.write(
      `(function(){"use strict";return(${$}s,${$}sharedExports,${$}freeze)=>{` +
        this.#importConstants("s", (index) => this.#sharedNames(index).size > 0),
    );
    for (const index of this.#shared) this.#writeStatement(index, "s");
    const declared = [...this.#shared].flatMap((index) => [...this.#statements[index]!.declares]);
    writer.write(
      `\n${assignments(`${$}sharedExports`, this.#localOf(exports.filter((e) => e.isShared)))}` +
        `${$}freeze([${declared.join()}]);` +
        `return function*(${$}i,${$}exports,${$}host){` +
        this.#importConstants("i", () => true) + this.#liveExports(exports),
    );
    const plain = exports.filter(({ isLive, from }) => !isLive && from === undefined);
    const { hoisted = [], late = [] } = Object.groupBy(
      plain,
      ({ name }) => this.#isHoisted(name) ? "hoisted" : "late",
    );
    writer.write(`${assignments(`${$}exports`, this.#localOf(hoisted))}yield;`);
    for (const index of this.#perCall()) this.#writeStatement(index, "i");
    writer.write(`\n${assignments(`${$}exports`, this.#localOf(late))}}}})()`);
  }

  #perCall(): number[] {
    return [...this.#statements.keys()].filter((index) => !this.#shared.has(index));
  }

  /** Import and export clauses leave nothing to evaluate. */
  #isDeclarationOnly(index: number): boolean {
    const { statement } = this.#statements[index]!;
    return statement.type === "ImportDeclaration" || statement.type === "ExportAllDeclaration" ||
      statement.type === "EmptyStatement" ||
      (statement.type === "ExportNamedDeclaration" && !statement.declaration);
  }

  /** A function declaration has its value before anything is evaluated. */
  #isHoisted(exportName: string): boolean {
    const local = this.#links.exports.get(exportName)!;
    const declaring = this.#bindings.declaredBy(local);
    return declaring.length > 0 && this.#bindings.assignedBy(local).length === 0 &&
      declaring.every((index) => {
        const { statement } = this.#statements[index]!;
        const isExport = statement.type === "ExportNamedDeclaration" ||
          statement.type === "ExportDefaultDeclaration";
        const declaration = isExport ? statement.declaration : statement;
        return declaration?.type === "FunctionDeclaration" && declaration.id?.name === local;
      });
  }

  #importConstants(array: "s" | "i", isUsed: (index: number) => boolean): string {
    const $ = this.#prefix;
    return this.#links.modules
      .map((_, index) => isUsed(index) ? `const ${$}${array}${index}=${$}${array}[${index}];` : "")
      .join("");
  }

  #liveExports(exports: readonly ModuleExport[]): string {
    const live = this.#localOf(exports.filter(({ isLive }) => isLive));
    if (live.length === 0) return "";
    const getters = live.map(([name, local]) => `get ${JSON.stringify(name)}(){return ${local}}`);
    return `${this.#prefix}host.live(${this.#prefix}exports,{${getters.join()}});`;
  }

  #localOf(exports: readonly ModuleExport[]): [name: string, local: string][] {
    return exports.map(({ name }) => [name, this.#links.exports.get(name)!]);
  }

  #writeStatement(index: number, imports: "s" | "i"): void {
    if (this.#isDeclarationOnly(index)) return;
    const names = this.#statements[index]!;
    const { statement, node, prefix } = names;
    this.#writer.write(`\n${prefix}`);
    const edits = [
      ...this.#exportEdits(statement),
      ...names.references.flatMap((reference) => this.#referenceEdits(reference, imports)),
      ...names.dynamicImports.map(({ start }) => ({
        start,
        end: start + "import".length,
        text: `${this.#prefix}host.import`,
      })),
      ...names.importMetas.map(({ start, end }) => ({
        start,
        end,
        text: `${this.#prefix}host.meta()`,
      })),
    ];
    this.#writer.copy(node.start, node.end, edits.sort((a, b) => a.start - b.start));
    // The module may rely on the end of a line here; in the script another statement may follow.
    if (!this.#source.slice(0, node.end).endsWith(";")) this.#writer.write(";");
  }

  #exportEdits(statement: Program["body"][number]): Edit[] {
    if (statement.type === "ExportNamedDeclaration") {
      return [{ start: statement.start, end: statement.declaration!.start, text: "" }];
    }
    if (statement.type !== "ExportDefaultDeclaration") return [];
    const { start, declaration } = statement;
    const isNamed = declaration.type.endsWith("Declaration") && "id" in declaration &&
      declaration.id !== null;
    const text = isNamed ? "" : `const ${this.#prefix}default=`;
    return [{ start, end: declaration.start, text }];
  }

  #referenceEdits({ node, writes, position }: Reference, imports: "s" | "i"): Edit[] {
    const imported = this.#links.imported.get(node.name);
    if (imported === undefined) return [];
    if (writes) throw invalid(`Cannot assign to import "${node.name}"`);
    const text = this.#importedExpression(imported, imports);
    const { start, end } = node;
    switch (position) {
      case "plain":
        return [{ start, end, text }];
      case "shorthand":
        return [{ start, end, text: `${node.name}:${text}` }];
      case "callee":
        return [{ start, end, text: `(0,${text})` }];
      case "calleeAtStatementStart":
        // Without the semicolon this would continue a statement that ends with its line.
        return [{ start, end, text: `;(0,${text})` }];
    }
  }

  #importedExpression({ import: index, name }: ImportedName, imports: "s" | "i"): string {
    const module = `${this.#prefix}${imports}${index}`;
    return name === null ? module : `${module}[${JSON.stringify(name)}]`;
  }

  /** What shared statements take from the `index`-th imported module. */
  #sharedNames(index: number): Set<string> {
    const names = [...this.#shared].flatMap((position) =>
      this.#statements[position]!.references.flatMap(({ node }) => {
        const imported = this.#links.imported.get(node.name);
        return imported?.import === index ? [imported.name!] : [];
      })
    );
    return new Set(names);
  }

  #imports(): ModuleImport[] {
    return this.#links.modules.map(({ path, names }, index) => ({
      path,
      names: [...names],
      sharedNames: [...this.#sharedNames(index)],
    }));
  }

  #exports(): ModuleExport[] {
    const local = [...this.#links.exports].map(([name, localName]) => ({
      name,
      isShared: this.#bindings.declaredBy(localName).every((index) => this.#shared.has(index)),
      isLive: this.#bindings.changesLater(localName),
    }));
    const passedOn = [...this.#links.passedOn].map(([name, from]) => ({
      name,
      isShared: false,
      isLive: false,
      from,
    }));
    return [...local, ...passedOn];
  }
}

function assignments(object: string, exports: readonly [name: string, local: string][]): string {
  return exports.map(([name, local]) => `${object}[${JSON.stringify(name)}]=${local};`).join("");
}

function parseMap(sourceMap: string | null | undefined): TraceMap | null {
  if (sourceMap === null || sourceMap === undefined || sourceMap === "") return null;
  try {
    return new TraceMap(sourceMap);
  } catch {
    throw invalid("The source map is not valid");
  }
}

function parseModule(source: string): Program {
  try {
    return parse(source, { ecmaVersion: "latest", sourceType: "module" });
  } catch (error) {
    throw invalid(`Uncaught ${error}`);
  }
}

/**
 * Modules and scripts tokenize a few texts differently (`<!--` begins a comment in scripts only), and no
 * `import` may come to light that way: inside an isolate it would reach files.
 *
 * To parse a script again costs as much as to parse its module, so that is done only where one of these texts, or
 * anything like an `import` but the host's own, is there at all.
 */
function checkScript(script: string, hostImport: string): void {
  const rest = script.replaceAll(hostImport, "");
  if (!/<!--|-->|\bimport\s*[(./]/.test(rest)) return;
  let program: Program;
  try {
    program = parse(script, { ecmaVersion: "latest", sourceType: "script" });
  } catch (error) {
    throw invalid(`Uncaught ${error}`);
  }
  const [{ dynamicImports, importMetas }] = analyzeStatements(program) as [StatementNames];
  if (dynamicImports.length > 0 || importMetas.length > 0) {
    throw invalid("Uncaught SyntaxError: HTML-like comments are not allowed in modules");
  }
}

function unusedName(source: string): string {
  let name = "hull$";
  while (source.includes(name)) name += "$";
  return name;
}

function invalid(message: string): DeveloperError {
  return new DeveloperError("InvalidModule", message);
}
