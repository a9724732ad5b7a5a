/**
 * Which names of a module each of its top-level statements declares, reads and writes. `module_factory.ts`
 * needs this to move statements and to rewrite references, so names are resolved as the language does:
 * function, parameter, block, class and catch scopes, hoisted `var`, destructuring, shadowing.
 */
import type { Identifier, ImportExpression, MetaProperty, Node, Program } from "acorn";

/** An identifier that no scope inside its statement declares: a name of the module, or a global. */
export interface Reference {
  readonly node: Identifier;
  readonly writes: boolean;
  /** Inside a function, so it is used when that is called, not when the statement is evaluated. */
  readonly deferred: boolean;
  /** How the text around it has to change when the name is replaced by an expression. */
  readonly position: "plain" | "shorthand" | "callee" | "calleeAtStatementStart";
}

/** A top-level statement, or one declarator of several in a declaration of variables. */
export interface StatementNames {
  readonly statement: Program["body"][number];
  /** The part of `statement` that is meant, to be written with `prefix` in front. */
  readonly node: Node;
  readonly prefix: string;
  /** Names that it declares in the module's scope, `var` in nested blocks included. */
  readonly declares: ReadonlySet<string>;
  readonly references: readonly Reference[];
  readonly dynamicImports: readonly ImportExpression[];
  /** Each `import.meta`. */
  readonly importMetas: readonly MetaProperty[];
  /** Waits outside of any function. */
  readonly awaits: boolean;
}

/** Analyses every top-level statement of a parsed module. */
export function analyzeStatements(program: Program): StatementNames[] {
  return program.body.flatMap((statement) => {
    if (statement.type !== "VariableDeclaration") {
      return [new StatementWalker(statement, statement, "").names];
    }
    const { kind, declarations } = statement;
    return declarations.map((node) =>
      new StatementWalker({ ...statement, declarations: [node] }, node, `${kind} `).names
    );
  });
}

/** The names that a binding pattern declares. */
export function boundNames(pattern: Node, names: Set<string> = new Set()): Set<string> {
  switch (pattern.type) {
    case "Identifier":
      names.add((pattern as Identifier).name);
      break;
    case "AssignmentPattern":
      boundNames(child(pattern, "left"), names);
      break;
    case "RestElement":
      boundNames(child(pattern, "argument"), names);
      break;
    case "ArrayPattern":
      for (const element of children(pattern, "elements")) boundNames(element, names);
      break;
    case "ObjectPattern":
      for (const property of children(pattern, "properties")) {
        boundNames(property.type === "Property" ? child(property, "value") : property, names);
      }
      break;
  }
  return names;
}

interface Scope {
  readonly names: ReadonlySet<string>;
  readonly parent: Scope | null;
}

/** Walks one statement. Scopes are entered with all their names known, because uses may precede declarations. */
class StatementWalker {
  readonly names: StatementNames;
  readonly #references: Reference[] = [];
  readonly #dynamicImports: ImportExpression[] = [];
  readonly #importMetas: MetaProperty[] = [];
  #awaits = false;
  #scope: Scope | null = null;
  #functionDepth = 0;
  /** The identifier that begins an expression statement in a list of statements, if one does. */
  #statementStart = -1;

  constructor(statement: Program["body"][number], node: Node, prefix: string) {
    const declares = new Set<string>();
    collectVars(statement, declares);
    collectLexical([statement], declares);
    if (statement.type === "ExpressionStatement") this.#statementStart = statement.start;
    this.#visit(statement);
    this.names = {
      statement,
      node,
      prefix,
      declares,
      references: this.#references,
      dynamicImports: this.#dynamicImports,
      importMetas: this.#importMetas,
      awaits: this.#awaits,
    };
  }

  #visit(node: Node): void {
    switch (node.type) {
      case "Identifier":
        return this.#refer(node as Identifier, false);
      case "FunctionDeclaration":
      case "FunctionExpression":
      case "ArrowFunctionExpression":
        return this.#visitFunction(node);
      case "ClassDeclaration":
      case "ClassExpression":
        return this.#visitClass(node);
      case "BlockStatement":
        return this.#visitBlock(children(node, "body"));
      case "SwitchStatement":
        return this.#visitSwitch(node);
      case "ForStatement":
      case "ForInStatement":
      case "ForOfStatement":
        return this.#visitFor(node);
      case "CatchClause":
        return this.#visitCatch(node);
      case "VariableDeclaration":
        return this.#visitVariables(node);
      case "AssignmentExpression":
        this.#visitTarget(child(node, "left"));
        return this.#visit(child(node, "right"));
      case "UpdateExpression":
        return this.#visitTarget(child(node, "argument"));
      case "CallExpression":
        return this.#visitCall(node, "callee", children(node, "arguments"));
      case "TaggedTemplateExpression":
        return this.#visitCall(node, "tag", [child(node, "quasi")]);
      case "MemberExpression":
        this.#visit(child(node, "object"));
        return this.#visitKey(node, "property");
      case "Property":
        return this.#visitProperty(node);
      case "LabeledStatement":
        return this.#visit(child(node, "body"));
      case "BreakStatement":
      case "ContinueStatement":
      case "ImportDeclaration":
      case "ExportAllDeclaration":
        return;
      case "ExportNamedDeclaration": {
        const declaration = optionalChild(node, "declaration");
        if (declaration !== null) this.#visit(declaration);
        return;
      }
      case "ImportExpression":
        this.#dynamicImports.push(node as ImportExpression);
        return this.#visitChildren(node);
      case "MetaProperty":
        if ((node as MetaProperty).meta.name === "import") {
          this.#importMetas.push(node as MetaProperty);
        }
        return;
      case "AwaitExpression":
        this.#noteAwait();
        return this.#visitChildren(node);
      default:
        return this.#visitChildren(node);
    }
  }

  #visitChildren(node: Node): void {
    for (const value of Object.values(node)) {
      if (isNode(value)) this.#visit(value);
      else if (Array.isArray(value)) {
        for (const item of value) if (isNode(item)) this.#visit(item);
      }
    }
  }

  #visitFunction(node: Node): void {
    const parameters = children(node, "params");
    const names = new Set<string>();
    // A function expression sees its own name; a declaration is declared around it.
    const name = optionalChild(node, "id");
    if (node.type === "FunctionExpression" && name !== null) boundNames(name, names);
    if (node.type !== "ArrowFunctionExpression") names.add("arguments");
    for (const parameter of parameters) boundNames(parameter, names);
    this.#deferred(() =>
      this.#within(names, () => {
        for (const parameter of parameters) this.#visitBinding(parameter);
        const body = child(node, "body");
        if (body.type === "BlockStatement") this.#visitFunctionBody(children(body, "body"));
        else this.#visit(body);
      })
    );
  }

  #visitFunctionBody(body: readonly Node[]): void {
    const names = new Set<string>();
    for (const statement of body) collectVars(statement, names);
    collectLexical(body, names);
    this.#within(names, () => this.#visitStatements(body));
  }

  #visitClass(node: Node): void {
    const id = optionalChild(node, "id");
    this.#within(id === null ? new Set() : boundNames(id), () => {
      const base = optionalChild(node, "superClass");
      if (base !== null) this.#visit(base);
      for (const element of children(child(node, "body"), "body")) this.#visitClassElement(element);
    });
  }

  #visitClassElement(element: Node): void {
    if (element.type === "StaticBlock") {
      return this.#deferred(() => this.#visitFunctionBody(children(element, "body")));
    }
    this.#visitKey(element, "key");
    const value = optionalChild(element, "value");
    if (value !== null) this.#deferred(() => this.#visit(value));
  }

  #visitBlock(body: readonly Node[]): void {
    this.#within(collectLexical(body, new Set()), () => this.#visitStatements(body));
  }

  #visitStatements(statements: readonly Node[]): void {
    for (const statement of statements) {
      if (statement.type === "ExpressionStatement") this.#statementStart = statement.start;
      this.#visit(statement);
    }
  }

  #visitSwitch(node: Node): void {
    this.#visit(child(node, "discriminant"));
    const cases = children(node, "cases");
    const names = new Set<string>();
    for (const each of cases) collectLexical(children(each, "consequent"), names);
    this.#within(names, () => {
      for (const each of cases) {
        const test = optionalChild(each, "test");
        if (test !== null) this.#visit(test);
        this.#visitStatements(children(each, "consequent"));
      }
    });
  }

  #visitFor(node: Node): void {
    if (flag(node, "await")) this.#noteAwait();
    const head = optionalChild(node, node.type === "ForStatement" ? "init" : "left");
    const names = head === null ? new Set<string>() : collectLexical([head], new Set());
    const parts = node.type === "ForStatement" ? ["test", "update", "body"] : ["right", "body"];
    this.#within(names, () => {
      if (head !== null) {
        const isTarget = node.type !== "ForStatement" && head.type !== "VariableDeclaration";
        if (isTarget) this.#visitTarget(head);
        else this.#visit(head);
      }
      for (const part of parts) {
        const found = optionalChild(node, part);
        if (found !== null) this.#visit(found);
      }
    });
  }

  #visitCatch(node: Node): void {
    const parameter = optionalChild(node, "param");
    this.#within(parameter === null ? new Set() : boundNames(parameter), () => {
      if (parameter !== null) this.#visitBinding(parameter);
      this.#visit(child(node, "body"));
    });
  }

  #visitVariables(node: Node): void {
    if ((node as Node & { kind: string }).kind === "await using") this.#noteAwait();
    for (const declarator of children(node, "declarations")) {
      this.#visitBinding(child(declarator, "id"));
      const init = optionalChild(declarator, "init");
      if (init !== null) this.#visit(init);
    }
  }

  /** A pattern whose names are declared elsewhere: only defaults and computed keys refer to anything. */
  #visitBinding(pattern: Node): void {
    this.#visitPattern(pattern, () => {});
  }

  /** The left side of an assignment. */
  #visitTarget(pattern: Node): void {
    this.#visitPattern(pattern, (target) => {
      if (target.type === "Identifier") this.#refer(target as Identifier, true);
      else this.#visit(target);
    });
  }

  #visitPattern(pattern: Node, visitLeaf: (leaf: Node) => void): void {
    switch (pattern.type) {
      case "AssignmentPattern":
        this.#visitPattern(child(pattern, "left"), visitLeaf);
        return this.#visit(child(pattern, "right"));
      case "RestElement":
        return this.#visitPattern(child(pattern, "argument"), visitLeaf);
      case "ArrayPattern":
        for (const element of children(pattern, "elements")) this.#visitPattern(element, visitLeaf);
        return;
      case "ObjectPattern":
        for (const property of children(pattern, "properties")) {
          if (property.type !== "Property") {
            this.#visitPattern(property, visitLeaf);
            continue;
          }
          this.#visitKey(property, "key");
          this.#visitPattern(child(property, "value"), visitLeaf);
        }
        return;
      default:
        return visitLeaf(pattern);
    }
  }

  #visitCall(node: Node, calleeName: string, rest: readonly Node[]): void {
    const callee = child(node, calleeName);
    if (callee.type === "Identifier") {
      const starts = callee.start === this.#statementStart;
      this.#refer(callee as Identifier, false, starts ? "calleeAtStatementStart" : "callee");
    } else {
      this.#visit(callee);
    }
    for (const each of rest) this.#visit(each);
  }

  #visitProperty(node: Node): void {
    const value = child(node, "value");
    if (flag(node, "shorthand")) return this.#refer(value as Identifier, false, "shorthand");
    this.#visitKey(node, "key");
    this.#visit(value);
  }

  #visitKey(node: Node, name: string): void {
    if (flag(node, "computed")) this.#visit(child(node, name));
  }

  #refer(node: Identifier, writes: boolean, position: Reference["position"] = "plain"): void {
    for (let scope = this.#scope; scope !== null; scope = scope.parent) {
      if (scope.names.has(node.name)) return;
    }
    this.#references.push({ node, writes, deferred: this.#functionDepth > 0, position });
  }

  #noteAwait(): void {
    if (this.#functionDepth === 0) this.#awaits = true;
  }

  #within(names: ReadonlySet<string>, visit: () => void): void {
    this.#scope = { names, parent: this.#scope };
    visit();
    this.#scope = this.#scope.parent;
  }

  #deferred(visit: () => void): void {
    this.#functionDepth++;
    visit();
    this.#functionDepth--;
  }
}

/** Adds what `var` declares in `node`, which a function around it hoists. */
function collectVars(node: Node, names: Set<string>): void {
  switch (node.type) {
    case "VariableDeclaration":
      if ((node as Node & { kind: string }).kind === "var") {
        for (const declarator of children(node, "declarations")) {
          boundNames(child(declarator, "id"), names);
        }
      }
      return;
    case "ExportNamedDeclaration": {
      const declaration = optionalChild(node, "declaration");
      if (declaration !== null) collectVars(declaration, names);
      return;
    }
    case "BlockStatement":
    case "IfStatement":
    case "ForStatement":
    case "ForInStatement":
    case "ForOfStatement":
    case "WhileStatement":
    case "DoWhileStatement":
    case "TryStatement":
    case "CatchClause":
    case "SwitchStatement":
    case "SwitchCase":
    case "LabeledStatement":
      for (const value of Object.values(node)) {
        if (isNode(value)) collectVars(value, names);
        else if (Array.isArray(value)) {
          for (const item of value) if (isNode(item)) collectVars(item, names);
        }
      }
  }
}

/** Adds what the statements of one block declare for that block: let, const, using, functions, classes. */
function collectLexical(statements: readonly Node[], names: Set<string>): Set<string> {
  for (const statement of statements) {
    switch (statement.type) {
      case "VariableDeclaration":
        if ((statement as Node & { kind: string }).kind === "var") break;
        for (const declarator of children(statement, "declarations")) {
          boundNames(child(declarator, "id"), names);
        }
        break;
      case "FunctionDeclaration":
      case "ClassDeclaration":
        boundNames(child(statement, "id"), names);
        break;
      case "ExportNamedDeclaration":
      case "ExportDefaultDeclaration": {
        const declaration = optionalChild(statement, "declaration");
        const isNamed = declaration !== null && optionalChild(declaration, "id") !== null;
        if (isNamed || declaration?.type === "VariableDeclaration") {
          collectLexical([declaration], names);
        }
        break;
      }
      case "LabeledStatement":
        collectLexical([child(statement, "body")], names);
    }
  }
  return names;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && "start" in value;
}

function child(node: Node, name: string): Node {
  return (node as unknown as Record<string, Node>)[name]!;
}

function optionalChild(node: Node, name: string): Node | null {
  return (node as unknown as Record<string, Node | null | undefined>)[name] ?? null;
}

/** A list of nodes without the holes of array patterns and literals. */
function children(node: Node, name: string): Node[] {
  return (node as unknown as Record<string, (Node | null)[]>)[name]!.filter((each) =>
    each !== null
  );
}

function flag(node: Node, name: string): boolean {
  return (node as unknown as Record<string, boolean | undefined>)[name] === true;
}
