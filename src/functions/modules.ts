/**
 * The live deployment: which functions exist, and who may call them (semantics 8.1).
 *
 * A deployment is turned into one table from every spelling of a function's path to the function, so
 * that a call costs one look-up and a switch of deployments is one assignment.
 */
import { assert } from "../assert.ts";
import type { DeploymentRecord } from "../deploy/deployment.ts";
import { FunctionError, RequestError } from "../errors.ts";
import type { AnalyzedFunction, DeploymentManifest, UserIdentity } from "../isolate/protocol.ts";
import { hostFailure } from "./host_failures.ts";
import { displayPath, fullPath, parseFunctionPath } from "./function_path.ts";
import type { CallContext, Caller } from "./functions.ts";
import type { HttpRoute } from "./http_routes.ts";

/** A function of one deployment; compared by reference. */
export interface DeployedFunction {
  /**
   * Id of the manifest it runs under, which changes with environment variables while its code is live; empty for
   * system queries, which belong to none.
   */
  readonly deployment: string;
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

interface Deployment {
  manifest: DeploymentManifest;
  readonly functions: ReadonlyMap<string, DeployedFunction>;
  readonly httpRoutes: readonly HttpRoute[] | null;
}

const kinds = { Query: "query", Mutation: "mutation", Action: "action" } as const;
const kindNames = { query: "Query", mutation: "Mutation", action: "Action" } as const;
const systemPrefix = "_system/";

export class Modules {
  readonly #system: ReadonlyMap<string, DeployedFunction>;
  #live: Deployment | null = null;

  /** @param systemPaths Those of the queries that the server answers itself. */
  constructor(systemPaths: readonly string[] = []) {
    this.#system = tabulateSystem(systemPaths);
  }

  /** Undefined until something was deployed. */
  get manifest(): DeploymentManifest | undefined {
    return this.#live?.manifest;
  }

  /** Routes of `http.js`; null when the app has none. */
  get httpRoutes(): readonly HttpRoute[] | null {
    return this.#live?.httpRoutes ?? null;
  }

  /** Replaces the live deployment; calls that have begun finish under the one they began with. */
  setDeployment(record: DeploymentRecord, manifest: DeploymentManifest): void {
    const live: Pick<Deployment, "manifest"> = { manifest };
    this.#live = Object.assign(live, {
      functions: tabulate(record, live),
      httpRoutes: record.analysis["http.js"]?.httpRoutes ?? null,
    });
  }

  /** Has the functions that are live run under another manifest of the same code. */
  setManifest(manifest: DeploymentManifest): void {
    assert(this.#live !== null, "there is code to run under the manifest");
    this.#live.manifest = manifest;
  }

  /** The function under one of its spellings, whoever asks; undefined when there is none. */
  find(path: string): DeployedFunction | undefined {
    return this.#live?.functions.get(path);
  }

  /**
   * The function that a caller means, if it may call it.
   * @throws FunctionError with the text of semantics 8.1; RequestError for a system action (http-api 39).
   */
  resolve(
    path: string,
    kind: DeployedFunction["kind"],
    context: CallContext,
  ): DeployedFunction {
    checkSystemModule(path, kind, context.caller);
    checkComponent(context);
    const found = this.#findFor(path, context.caller);
    if (found === undefined || !(found.isPublic || seesInternal(context.caller))) {
      throw notFound("public function", path, ".");
    }
    if (found.kind !== kind) throw wrongKind(found, kind);
    return found;
  }

  /**
   * A function of any kind. Unlike `resolve`, an admin who acts as a user reaches public functions only
   * (http-api 25).
   * @throws FunctionError with the text that the CLI knows.
   */
  resolveAny(path: string, context: CallContext): DeployedFunction {
    checkComponent(context);
    const found = this.#findFor(path, context.caller);
    const actsAsUser = context.caller.kind === "admin" && context.caller.impersonating !== null;
    if (
      found === undefined ||
      !(found.isPublic || (seesInternal(context.caller) && !actsAsUser))
    ) {
      throw notFound("function", path, ". Did you forget to run `npx convex dev`?");
    }
    return found;
  }

  /** System queries show what no function of the app may see, so they are there for administrators alone. */
  #findFor(path: string, caller: Caller): DeployedFunction | undefined {
    return this.find(path) ?? (caller.kind === "admin" ? this.#system.get(path) : undefined);
  }

  /** Whether a function of an earlier `resolve` is still the one to run. */
  isLive({ isSystem, deployment }: DeployedFunction): boolean {
    return isSystem || deployment === this.manifest?.id;
  }
}

/** What `ctx.auth.getUserIdentity()` answers for a caller. */
export function identityOf(caller: Caller): UserIdentity | null {
  switch (caller.kind) {
    case "anonymous":
      return null;
    case "admin":
      return caller.impersonating;
    case "user":
    case "system":
      return caller.identity;
  }
}

/** The token that a user presented. */
export function tokenOf(caller: Caller): string | undefined {
  return "token" in caller ? caller.token : undefined;
}

function seesInternal(caller: Caller): boolean {
  return caller.kind === "admin" || caller.kind === "system";
}

function checkSystemModule(path: string, kind: DeployedFunction["kind"], caller: Caller): void {
  if (!path.startsWith(systemPrefix) || seesInternal(caller)) return;
  if (kind === "action") {
    throw new RequestError(
      "forbidden",
      "SystemIdentityRequired",
      "System functions can only be called by admins.",
    );
  }
  throw new FunctionError(hostFailure(`Operation ${kind} not permitted`));
}

/** Hull has no components yet, so every path but the app's own is unknown. */
function checkComponent(context: CallContext): void {
  if (!context.componentPath) return;
  throw new FunctionError(hostFailure(`Component path '${context.componentPath}' not found`));
}

function notFound(what: string, path: string, end: string): FunctionError {
  return new FunctionError(hostFailure(`Could not find ${what} for '${shown(path)}'${end}`));
}

function shown(path: string): string {
  try {
    return displayPath(parseFunctionPath(path));
  } catch {
    // Edges refuse malformed paths; a nested call may still name one, and sees it as it wrote it.
    return path;
  }
}

function wrongKind(found: DeployedFunction, kind: DeployedFunction["kind"]): FunctionError {
  const name = fullPath({ module: found.module, name: found.export });
  return new FunctionError(
    hostFailure(
      `Trying to execute ${name} as ${kindNames[kind]}, but it is defined as ${
        kindNames[found.kind]
      }.`,
    ),
  );
}

function tabulate(
  record: DeploymentRecord,
  live: Pick<Deployment, "manifest">,
): Map<string, DeployedFunction> {
  const environments = new Map(
    live.manifest.modules.map((module) => [module.path, module.environment]),
  );
  const table = new Map<string, DeployedFunction>();
  for (const [module, analyzed] of Object.entries(record.analysis)) {
    const environment = environments.get(module) ?? "isolate";
    for (const entry of analyzed.functions) {
      const deployed = deployedFunction(entry, module, environment, live);
      for (const spelling of spellings(module, entry.name)) table.set(spelling, deployed);
    }
  }
  return table;
}

function tabulateSystem(paths: readonly string[]): Map<string, DeployedFunction> {
  const table = new Map<string, DeployedFunction>();
  for (const path of paths) {
    const { module, name } = parseFunctionPath(path);
    const deployed: DeployedFunction = {
      deployment: "",
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
  live: Pick<Deployment, "manifest">,
): DeployedFunction {
  return {
    get deployment() {
      return live.manifest.id;
    },
    kind: kinds[entry.udfType],
    isPublic: entry.visibility === "public",
    environment,
    isSystem: false,
    module,
    export: entry.name,
    path: displayPath({ module, name: entry.name }),
    args: entry.args,
    returns: entry.returns,
  };
}

function spellings(module: string, name: string): string[] {
  const bare = module.replace(/\.js$/, "");
  const named = [`${bare}:${name}`, `${module}:${name}`];
  return name === "default" ? [...named, bare, module] : named;
}
