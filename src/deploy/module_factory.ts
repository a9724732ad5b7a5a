/**
 * Turns a pushed ES module into a script that isolates compile once and evaluate anew for every call
 * (ARCHITECTURE 5a).
 *
 * Statements that come from the `convex` package hold no state and are the bulk of a small app, so they are
 * evaluated once and shared between calls. The source map tells where a statement comes from. A statement
 * is shared only if everything it refers to is shared, too, and no function assigns to what it declares;
 * all others move behind the shared ones, in their order.
 */
import { decodedMappings, TraceMap } from "@jridgewell/trace-mapping";
import { type Expression, type Node, parse, type Program } from "acorn";
import { DeveloperError } from "../errors.ts";
import type { ModuleExport, ModuleFactory, ModuleImport } from "../isolate/module_factory.ts";
import { type ImportedName, type ModuleLinks, readLinks } from "./module_links.ts";
import { analyzeStatements, type Reference, type StatementNames } from "./scope_analysis.ts";
import { type Edit, lastAtMost, lineStarts, ScriptWriter } from "./script_writer.ts";

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
  return JSON.stringify(factory);
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
      : chooseShared(this.#statements, this.#bindings, originsOf(this.#map, module.source));
    this.#writer = new ScriptWriter(module.source);
  }

  build(): ModuleFactory {
    this.#writeScript();
    const script = this.#writer.text;
    checkScript(script);
    return {
      version: 1,
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
        `return(${$}i,${$}exports,${$}host)=>{` +
        this.#importConstants("i", () => true) + this.#liveExports(exports),
    );
    for (const index of this.#perCall()) this.#writeStatement(index, "i");
    const plain = exports.filter(({ isLive, from }) => !isLive && from === undefined);
    writer.write(`\n${assignments(`${$}exports`, this.#localOf(plain))}}}})()`);
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

/** The module's own top-level names: who declares them, who assigns to them. */
class Bindings {
  readonly #declaredBy = new Map<string, number[]>();
  readonly #assignedBy = new Map<string, number[]>();
  readonly #changesLater = new Set<string>();

  constructor(statements: readonly StatementNames[], readonly links: ModuleLinks) {
    for (const [index, { declares, statement }] of statements.entries()) {
      for (const name of declares) push(this.#declaredBy, name, index);
      if (statement.type === "ExportDefaultDeclaration") {
        push(this.#declaredBy, links.exports.get("default")!, index);
      }
    }
    for (const [index, { references }] of statements.entries()) {
      for (const { node, writes, deferred } of references) {
        if (!writes) continue;
        push(this.#assignedBy, node.name, index);
        if (deferred) this.#changesLater.add(node.name);
      }
    }
  }

  declaredBy(name: string): readonly number[] {
    return this.#declaredBy.get(name) ?? [];
  }

  assignedBy(name: string): readonly number[] {
    return this.#assignedBy.get(name) ?? [];
  }

  changesLater(name: string): boolean {
    return this.#changesLater.has(name);
  }

  /** `import * as name`. */
  isModule(name: string): boolean {
    return this.links.imported.get(name)?.name === null;
  }
}

function push<Key>(lists: Map<Key, number[]>, key: Key, value: number): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else if (list.at(-1) !== value) list.push(value);
}

/** Where the text of a range comes from; undefined: the bundler made it up. */
type OriginOf = (node: Node) => "library" | "app" | undefined;

function originsOf(map: TraceMap, source: string): OriginOf {
  const isLibrary = map.sources.map((each) =>
    each !== null && /(^|\/)node_modules\/convex\//.test(each)
  );
  const lines = lineStarts(source);
  const mapped = decodedMappings(map).flatMap((segments, line) =>
    segments.flatMap((segment) =>
      segment.length === 1 ? [] : [{ position: lines[line]! + segment[0], source: segment[1] }]
    )
  );
  return ({ start, end }) => {
    let origin: "library" | "app" | undefined;
    for (
      let i = lastAtMost(mapped, start - 1, ({ position }) => position) + 1;
      i < mapped.length && mapped[i]!.position < end;
      i++
    ) {
      if (!isLibrary[mapped[i]!.source]) return "app";
      origin = "library";
    }
    return origin;
  };
}

/** The statements that may be evaluated once for all calls: the largest set that keeps the rules. */
function chooseShared(
  statements: readonly StatementNames[],
  bindings: Bindings,
  originOf: OriginOf,
): Set<number> {
  const origins = statements.map(({ node, statement }) => originOf(node) ?? originOf(statement));
  const shared = new Set([...statements.keys()].filter((index) =>
    origins[index] === "library" ||
    (origins[index] === undefined && isHelper(statements[index]!.statement))
  ));
  const remove = (index: number) => {
    if (!shared.delete(index)) return;
    if (origins[index] === "app") return;
    // It belongs to what it prepares: shared objects could not be changed any more.
    for (const name of preparedNames(statements[index]!)) bindings.declaredBy(name).forEach(remove);
  };
  for (const [index, statement] of statements.entries()) {
    if (shared.has(index) || origins[index] === "app") continue;
    for (const name of preparedNames(statement)) bindings.declaredBy(name).forEach(remove);
  }
  for (let size = -1; size !== shared.size;) {
    size = shared.size;
    for (const index of shared) {
      if (!mayBeShared(statements[index]!, bindings, shared)) remove(index);
    }
  }
  return shared;
}

function mayBeShared(
  { declares, references, dynamicImports, importMetas }: StatementNames,
  bindings: Bindings,
  shared: ReadonlySet<number>,
): boolean {
  if (dynamicImports.length > 0 || importMetas.length > 0) return false;
  const allShared = (indexes: readonly number[]) => indexes.every((each) => shared.has(each));
  const ownAreConstant = [...declares].every((name) =>
    !bindings.changesLater(name) && allShared(bindings.declaredBy(name)) &&
    allShared(bindings.assignedBy(name))
  );
  return ownAreConstant &&
    references.every(({ node: { name } }) =>
      !bindings.isModule(name) && allShared(bindings.declaredBy(name))
    );
}

/** Names whose objects a statement that declares nothing may change, as in `giveName(f, "f")`. */
function preparedNames({ declares, references }: StatementNames): string[] {
  if (declares.size > 0) return [];
  return references.filter(({ deferred, position }) => !deferred && position === "plain")
    .map(({ node }) => node.name);
}

/**
 * What bundlers add themselves: functions, names of built-in functions, and calls that give functions
 * names. None of it holds state.
 */
function isHelper(statement: Program["body"][number]): boolean {
  switch (statement.type) {
    case "FunctionDeclaration":
      return true;
    case "VariableDeclaration":
      return statement.declarations.every(({ init }) =>
        isFunction(init) || isNamedFunction(init) || isPlainPath(init)
      );
    case "ExpressionStatement":
      return statement.expression.type === "CallExpression" &&
        statement.expression.callee.type === "Identifier";
    default:
      return false;
  }
}

function isFunction(node: Node | null | undefined): boolean {
  return node?.type === "FunctionExpression" || node?.type === "ArrowFunctionExpression";
}

/** `name(() => …, "text")` */
function isNamedFunction(node: Expression | null | undefined): boolean {
  if (node?.type !== "CallExpression" || node.callee.type !== "Identifier") return false;
  const [named, ...rest] = node.arguments;
  return isFunction(named) && rest.every(({ type }) => type === "Literal");
}

/** `Object.defineProperty` and the like. */
function isPlainPath(node: Node | null | undefined): boolean {
  if (node?.type === "Identifier") return true;
  if (node?.type !== "MemberExpression") return false;
  const { object, computed } = node as Node & { object: Node; computed: boolean };
  return !computed && isPlainPath(object);
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
 */
function checkScript(script: string): void {
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
