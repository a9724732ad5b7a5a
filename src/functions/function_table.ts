/** The functions of a deployment by every spelling of their paths, so that a call costs one look-up. */
import type { ComponentId } from "../database/component.ts";
import { displayName } from "../isolate/function_address.ts";
import type {
  AnalyzedFunction,
  AnalyzedModule,
  DeploymentManifest,
  ModuleEntry,
} from "../isolate/protocol.ts";
import { parseFunctionPath } from "./function_path.ts";

/** A function of one deployment; compared by reference. */
export interface DeployedFunction {
  /**
   * Id of the manifest it runs under, which changes with environment variables while its code is live; empty for
   * system queries, which belong to none.
   */
  readonly deployment: string;
  /** The component whose function it is, and its path; both are empty for the app's. */
  readonly component: ComponentId;
  readonly componentPath: string;
  readonly kind: "query" | "mutation" | "action";
  readonly isPublic: boolean;
  readonly environment: "isolate" | "node";
  /** Whether the server answers it itself. */
  readonly isSystem: boolean;
  /** `dir/mod.js` */
  readonly module: string;
  readonly export: string;
  /** `dir/mod:fn`, as in logs. */
  readonly path: string;
  /** Validators as JSON texts; null: none. */
  readonly args: string | null;
  readonly returns: string | null;
}

/** By spelling: `dir/mod:fn`, `dir/mod.js:fn`, and for default exports `dir/mod`, `dir/mod.js`. */
export type FunctionTable = ReadonlyMap<string, DeployedFunction>;

export interface DeployedCode {
  /** Holds the manifest that the code runs under, which changes with environment variables. */
  readonly live: { readonly manifest: Pick<DeploymentManifest, "id"> };
  readonly component: ComponentId;
  readonly componentPath: string;
  readonly modules: readonly ModuleEntry[];
  /** By module path with `.js`. */
  readonly analysis: Readonly<Record<string, AnalyzedModule>>;
}

const kinds = { Query: "query", Mutation: "mutation", Action: "action" } as const;

/** Of the app or of one component. */
export function tabulate(code: DeployedCode): FunctionTable {
  const environments = new Map(code.modules.map((module) => [module.path, module.environment]));
  const table = new Map<string, DeployedFunction>();
  for (const [module, analyzed] of Object.entries(code.analysis)) {
    const environment = environments.get(module) ?? "isolate";
    for (const entry of analyzed.functions) {
      const deployed = deployedFunction(entry, module, environment, code);
      for (const spelling of spellings(module, entry.name)) table.set(spelling, deployed);
    }
  }
  return table;
}

/** Queries that the server answers itself, about one component. */
export function tabulateSystem(
  paths: readonly string[],
  component: ComponentId,
  componentPath: string,
): FunctionTable {
  const table = new Map<string, DeployedFunction>();
  for (const path of paths) {
    const { module, export: name } = parseFunctionPath(path);
    const deployed: DeployedFunction = {
      deployment: "",
      component,
      componentPath,
      kind: "query",
      isPublic: false,
      environment: "isolate",
      isSystem: true,
      module,
      export: name,
      path,
      args: null,
      returns: null,
    };
    for (const spelling of spellings(module, name)) table.set(spelling, deployed);
  }
  return table;
}

function deployedFunction(
  entry: AnalyzedFunction,
  module: string,
  environment: "isolate" | "node",
  { live, component, componentPath }: DeployedCode,
): DeployedFunction {
  return {
    get deployment() {
      return live.manifest.id;
    },
    component,
    componentPath,
    kind: kinds[entry.udfType],
    isPublic: entry.visibility === "public",
    environment,
    isSystem: false,
    module,
    export: entry.name,
    path: displayName({ module, export: entry.name }),
    args: entry.args,
    returns: entry.returns,
  };
}

function spellings(module: string, name: string): string[] {
  const bare = module.replace(/\.js$/, "");
  const named = [`${bare}:${name}`, `${module}:${name}`];
  return name === "default" ? [...named, bare, module] : named;
}
