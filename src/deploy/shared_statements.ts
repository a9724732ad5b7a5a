/**
 * Which top-level statements of a module can be evaluated once and shared between calls: those of the `convex`
 * package, which holds no state, and what bundlers add for it. The source map tells where a statement comes
 * from. It is shared only if everything it refers to is shared, too, and no function assigns to what it
 * declares.
 */
import { decodedMappings, type TraceMap } from "@jridgewell/trace-mapping";
import type { Expression, Node, Program } from "acorn";
import type { ModuleLinks } from "./module_links.ts";
import type { StatementNames } from "./scope_analysis.ts";
import { lastAtMost, lineStarts } from "./script_writer.ts";

/** The module's own top-level names: who declares them, who assigns to them. */
export class Bindings {
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

/**
 * The statements that may be evaluated once for all calls, by position: the largest set that keeps the rules.
 * `map` and `source` are the module's.
 */
export function chooseShared(
  statements: readonly StatementNames[],
  bindings: Bindings,
  { map, source }: { readonly map: TraceMap; readonly source: string },
): Set<number> {
  const originOf = originsOf(map, source);
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
