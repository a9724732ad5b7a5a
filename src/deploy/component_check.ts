/** Instantiates definitions from the app downwards and checks that they fit together (components 3). */
import { RequestError } from "../errors.ts";
import type { AnalyzedModule } from "../isolate/protocol.ts";
import { parseValidator } from "../values/validator.ts";
import { parseValue } from "../values/value.ts";
import {
  appDefinitionPath,
  type ComponentDefinition,
  type UsedComponent,
} from "./component_definition.ts";
import { isCovered, isValueOf } from "./declared_variables.ts";
import type { EnvBinding } from "./deployment.ts";

/** One use of a definition, or the app. */
export interface ComponentNode {
  readonly definition: ComponentDefinition;
  /** Names from the app downwards, `child/grandchild`; empty for the app. */
  readonly path: string;
  readonly children: ReadonlyMap<string, ComponentNode>;
  /** Values of its arguments, as JSON texts. */
  readonly args: Readonly<Record<string, string>>;
  /** What its variables are bound to, all the way to the deployment. */
  readonly env: readonly (readonly [name: string, EnvBinding])[];
  /** Where its HTTP routes begin, as seen from the app; null: nowhere. */
  readonly httpPrefix: string | null;
}

/** A definition together with the routes of its own `http.js`; null without that. */
export interface RoutedDefinition {
  readonly definition: ComponentDefinition;
  readonly httpRoutes: AnalyzedModule["httpRoutes"];
}

export interface TreeOptions {
  /** By path of the definition. */
  readonly definitions: ReadonlyMap<string, RoutedDefinition>;
  /** Generating code needs no values of variables. */
  readonly forCodegen: boolean;
}

/** The tree whose root is the app. @throws RequestError with the first thing that does not fit. */
export function checkComponentTree(options: TreeOptions): ComponentNode {
  const checker = new TreeChecker(options);
  const app = options.definitions.get(appDefinitionPath)!.definition;
  if (app.args.length > 0) throw mismatch("Can't have arguments for the root app");
  for (const { definition, httpRoutes } of options.definitions.values()) {
    checker.checkNames(definition);
    checker.checkMounts(definition, httpRoutes);
  }
  return checker.instantiate(app, { path: "", args: {}, env: null, httpPrefix: null });
}

interface Placement {
  readonly path: string;
  readonly args: ComponentNode["args"];
  /** Of the component's variables; null for the app, whose variables are the deployment's. */
  readonly env: ComponentNode["env"] | null;
  readonly httpPrefix: string | null;
}

class TreeChecker {
  readonly #definitions: TreeOptions["definitions"];
  readonly #forCodegen: boolean;

  constructor({ definitions, forCodegen }: TreeOptions) {
    this.#definitions = definitions;
    this.#forCodegen = forCodegen;
  }

  instantiate(definition: ComponentDefinition, placement: Placement): ComponentNode {
    const { path, args, env, httpPrefix } = placement;
    const children = definition.children.map((use): [string, ComponentNode] => {
      const child = this.#mustDefinition(use.definition).definition;
      const childPath = path === "" ? use.name : `${path}/${use.name}`;
      checkArguments(childPath, use, child);
      this.#checkVariables(childPath, use, { parent: definition, child });
      const placement = {
        path: childPath,
        args: Object.fromEntries(use.args.map(([name, { value }]) => [name, value])),
        env: use.env.flatMap(([name, binding]) => {
          const resolved = resolveBinding(binding, env);
          return resolved === undefined ? [] : [[name, resolved] as const];
        }),
        httpPrefix: childPrefix(definition, use.name, path === "" ? "/" : httpPrefix),
      };
      return [use.name, this.instantiate(child, placement)];
    });
    return { definition, path, children: new Map(children), args, env: env ?? [], httpPrefix };
  }

  checkNames({ path, name, children }: ComponentDefinition): void {
    const names = new Set<string>();
    for (const child of children) {
      this.#mustDefinition(child.definition);
      if (names.has(child.name)) {
        const shown = path === appDefinitionPath ? "(app)" : name;
        throw mismatch(
          `Component "${shown}" has multiple child components with the same name: ${child.name}`,
        );
      }
      names.add(child.name);
    }
  }

  checkMounts({ httpMounts, children }: ComponentDefinition, own: RoutedDefinition["httpRoutes"]) {
    for (const { path, name } of httpMounts) {
      const refuse = (reason: string) => mismatch(`HTTP mount ${path} is invalid: ${reason}`);
      const use = children.find((child) => child.name === name);
      if (use === undefined) throw refuse(`Child component ${name} not found.`);
      if (!this.#hasRoutes(use)) {
        throw refuse(`Child component ${name} doesn't have any HTTP routes.`);
      }
      if (own?.some((route) => route.path === `${path}*`)) {
        throw refuse("Overlap with existing prefix route");
      }
    }
    const paths = httpMounts.map(({ path }) => path);
    const twice = paths.find((path, index) => paths.indexOf(path) !== index);
    if (twice !== undefined) {
      throw mismatch(`HTTP mount ${twice} is invalid: Overlap with previously mounted route`);
    }
  }

  #hasRoutes(use: UsedComponent): boolean {
    const { definition, httpRoutes } = this.#mustDefinition(use.definition);
    return httpRoutes !== null || definition.httpMounts.length > 0;
  }

  #mustDefinition(path: string): RoutedDefinition {
    const found = this.#definitions.get(path);
    if (found !== undefined && path !== appDefinitionPath) return found;
    throw mismatch(`The component \`${path}\` is used but not part of the push.`);
  }

  #checkVariables(
    path: string,
    { env }: UsedComponent,
    { parent, child }: { parent: ComponentDefinition; child: ComponentDefinition },
  ): void {
    const declared = new Map(child.variables);
    const ofParent = new Map(parent.variables);
    const bound = new Set<string>();
    for (const [name, binding] of env) {
      bound.add(name);
      const variable = declared.get(name);
      if (variable === undefined) {
        throw mismatch(`Component ${path} has no env var named ${name}`);
      }
      if (binding.type === "value") {
        if (isValueOf(variable.value, binding.value)) continue;
        const value = JSON.stringify(binding.value);
        throw mismatch(
          `Component ${path} has an invalid value for env var ${name}: ${value} is none of its values`,
        );
      }
      const source = ofParent.get(binding.name);
      if (source === undefined) {
        throw mismatch(
          `Component ${path} env var ${name} references undeclared parent env var ${binding.name}`,
        );
      }
      if (source.optional && !variable.optional) {
        throw mismatch(
          `Component ${path} env var ${name} is required, but parent env var ${binding.name} is optional`,
        );
      }
      if (!isCovered(source.value, variable.value)) {
        throw mismatch(
          `Component ${path} env var ${name} validator is not satisfied by parent env var ${binding.name} validator`,
        );
      }
    }
    if (this.#forCodegen) return;
    for (const [name, { optional }] of child.variables) {
      if (!optional && !bound.has(name)) {
        throw mismatch(`Component ${path} is missing required env var ${name}`);
      }
    }
  }
}

/** A child's binding seen from the deployment: what its parent's variable of that name is bound to itself. */
function resolveBinding(
  binding: EnvBinding,
  ofParent: ComponentNode["env"] | null,
): EnvBinding | undefined {
  if (binding.type === "value" || ofParent === null) return binding;
  return ofParent.find(([name]) => name === binding.name)?.[1];
}

function childPrefix(
  { httpMounts }: ComponentDefinition,
  name: string,
  parentPrefix: string | null,
): string | null {
  const mount = httpMounts.find((each) => each.name === name);
  if (mount === undefined || parentPrefix === null) return null;
  return parentPrefix.replace(/\/$/, "") + mount.path;
}

/** Arguments of older libraries. */
function checkArguments(path: string, use: UsedComponent, child: ComponentDefinition): void {
  const declared = new Map(child.args);
  for (const [name, { value }] of use.args) {
    const validator = declared.get(name);
    if (validator === undefined) throw mismatch(`Component ${path} has no argument named ${name}`);
    const problem = parseValidator(JSON.parse(validator.value))
      .check(parseValue(value), () => undefined);
    if (problem !== null) {
      throw mismatch(`Component ${path} has an invalid value for argument ${name}: ${problem}`);
    }
  }
}

function mismatch(message: string): RequestError {
  return new RequestError("badRequest", "TypecheckError", message);
}
