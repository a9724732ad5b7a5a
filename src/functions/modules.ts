/**
 * The live deployment: which functions exist, and who may call them (semantics 8.1).
 *
 * A deployment is turned into tables of functions, one for the app and one for each component, so that a switch of
 * deployments is one assignment.
 */
import { assert } from "../assert.ts";
import { appComponent, type ComponentId } from "../database/component.ts";
import type { DeploymentRecord } from "../deploy/deployment.ts";
import { FunctionError, RequestError } from "../errors.ts";
import { ComponentTree } from "../isolate/component_tree.ts";
import {
  debugName,
  displayName,
  type FunctionAddress,
  handleNotFound,
  notExported,
  resolveAddress,
} from "../isolate/function_address.ts";
import { FunctionHandles } from "../isolate/function_handles.ts";
import type { DeploymentManifest, UserIdentity } from "../isolate/protocol.ts";
import { parseFunctionPath } from "./function_path.ts";
import {
  type DeployedFunction,
  type FunctionTable,
  tabulate,
  tabulateSystem,
} from "./function_table.ts";
import type { CallContext, Caller } from "./functions.ts";
import { hostFailure } from "./host_failures.ts";
import { noSystemQueries, type SystemQueries } from "./system_queries.ts";
import { type HttpRouting, type RoutedRequest, routeRequest, routingOf } from "./http_routes.ts";

interface Deployment {
  manifest: DeploymentManifest;
  readonly components: ComponentTree;
  readonly handles: FunctionHandles;
  readonly functions: ReadonlyMap<ComponentId, FunctionTable>;
  readonly routing: HttpRouting;
}

/** A function that a running function means. */
export interface CallTarget {
  /** `dir/mod:fn` */
  readonly path: string;
  readonly component: ComponentId;
}

const kindNames = { query: "Query", mutation: "Mutation", action: "Action" } as const;
const systemPrefix = "_system/";

export class Modules {
  readonly #systemQueries: Pick<SystemQueries, "paths" | "componentAt">;
  /** About the app and about the components that anybody asked about. */
  readonly #system = new Map<ComponentId, FunctionTable>();
  #live: Deployment | null = null;

  constructor(systemQueries: Pick<SystemQueries, "paths" | "componentAt"> = noSystemQueries) {
    this.#systemQueries = systemQueries;
  }

  /** Undefined until something was deployed. */
  get manifest(): DeploymentManifest | undefined {
    return this.#live?.manifest;
  }

  /** Which component's router a request belongs to, if any's; undefined as long as nothing was deployed. */
  routeRequest(method: string, pathname: string): RoutedRequest | undefined {
    return this.#live === null ? undefined : routeRequest(this.#live.routing, method, pathname);
  }

  /** Replaces the live deployment; calls that have begun finish under the one they began with. */
  setDeployment(record: DeploymentRecord, manifest: DeploymentManifest): void {
    const live: Pick<Deployment, "manifest"> = { manifest };
    this.#live = Object.assign(live, {
      components: new ComponentTree(manifest.components),
      handles: new FunctionHandles(manifest.fileStorageSecret ?? manifest.id),
      functions: tables(record, live),
      routing: routingOf(record),
    });
  }

  /** Has the functions that are live run under another manifest of the same code. */
  setManifest(manifest: DeploymentManifest): void {
    assert(this.#live !== null, "there is code to run under the manifest");
    this.#live.manifest = manifest;
  }

  /** The function of a component under one of its spellings, whoever asks; undefined when there is none. */
  find(path: string, component: ComponentId = appComponent): DeployedFunction | undefined {
    return this.#live?.functions.get(component)?.get(path);
  }

  /** Names from the app downwards, `child/grandchild`; empty for the app. */
  pathOf(component: ComponentId): string {
    return this.#live?.components.pathOf(component) ?? "";
  }

  /**
   * The function that a function of component `from` means.
   * @throws DeveloperError when a reference or a handle leads nowhere; what a name leads to, its call will tell.
   */
  target(address: FunctionAddress, from: ComponentId): CallTarget {
    const { components, handles } = this.#mustGetLive();
    const { component, path, mustBePublic } = resolveAddress(address, from, components, handles);
    const name = displayName(path);
    const found = this.find(name, component);
    if (address.functionHandle !== undefined && found === undefined) throw handleNotFound();
    if (mustBePublic && found?.isPublic !== true) {
      throw notExported(components.get(component)!.name, path);
    }
    return { path: name, component };
  }

  /** A handle's handle is that handle. @throws DeveloperError when there is no such function. */
  handleOf(address: FunctionAddress, from: ComponentId): string {
    const { path, component } = this.target(address, from);
    const found = this.find(path, component);
    if (found === undefined) throw handleNotFound();
    if (address.functionHandle !== undefined) return address.functionHandle;
    const functionPath = { module: found.module, export: found.export };
    return this.#mustGetLive().handles.make({ component, path: functionPath });
  }

  #mustGetLive(): Deployment {
    assert(this.#live !== null, "functions run on a deployment");
    return this.#live;
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
    const component = this.#componentOf(context);
    const found = this.#findFor(path, component, context.caller);
    if (found === undefined || !(found.isPublic || seesInternal(context.caller))) {
      throw notFound("public function", path, this.pathOf(component), ".");
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
    const component = this.#componentOf(context);
    const found = this.#findFor(path, component, context.caller);
    const actsAsUser = context.caller.kind === "admin" && context.caller.impersonating !== null;
    if (
      found === undefined ||
      !(found.isPublic || (seesInternal(context.caller) && !actsAsUser))
    ) {
      const end = ". Did you forget to run `npx convex dev`?";
      throw notFound("function", path, this.pathOf(component), end);
    }
    return found;
  }

  /** System queries show what no function of the app may see, so they are there for administrators alone. */
  #findFor(path: string, component: ComponentId, caller: Caller): DeployedFunction | undefined {
    return this.find(path, component) ??
      (caller.kind === "admin" ? this.#systemIn(component).get(path) : undefined);
  }

  #systemIn(component: ComponentId): FunctionTable {
    let table = this.#system.get(component);
    if (table === undefined) {
      table = tabulateSystem(this.#systemQueries.paths, component, this.pathOf(component));
      this.#system.set(component, table);
    }
    return table;
  }

  /** The component that a call is for. @throws FunctionError when it may not be called, or is not there. */
  #componentOf({ component, componentPath, caller }: CallContext): ComponentId {
    if (component !== undefined) return component;
    if (!componentPath) return appComponent;
    if (!seesInternal(caller)) {
      throw new FunctionError(
        hostFailure(
          "Only admin or system users can call functions on non-root components directly",
        ),
      );
    }
    const found = this.#live?.components.at(componentPath) ??
      this.#systemQueries.componentAt(componentPath);
    if (found !== undefined) return found;
    throw new FunctionError(hostFailure(`Component path '${componentPath}' not found`));
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

function notFound(what: string, path: string, componentPath: string, end: string): FunctionError {
  const where = componentPath === "" ? "" : ` in '${componentPath}'`;
  return new FunctionError(
    hostFailure(`Could not find ${what} for '${shown(path)}'${where}${end}`),
  );
}

function shown(path: string): string {
  try {
    return displayName(parseFunctionPath(path));
  } catch {
    // Edges refuse malformed paths; a nested call may still name one, and sees it as it wrote it.
    return path;
  }
}

function wrongKind(found: DeployedFunction, kind: DeployedFunction["kind"]): FunctionError {
  const name = debugName(found);
  return new FunctionError(
    hostFailure(
      `Trying to execute ${name} as ${kindNames[kind]}, but it is defined as ${
        kindNames[found.kind]
      }.`,
    ),
  );
}

function tables(
  { analysis, definitions = [] }: DeploymentRecord,
  live: { readonly manifest: DeploymentManifest },
): Map<ComponentId, FunctionTable> {
  const { modules, components = [] } = live.manifest;
  const app = { live, component: appComponent, componentPath: "", modules, analysis };
  const byPath = new Map(definitions.map((definition) => [definition.path, definition]));
  const others = components.map(({ id, path, definition, modules }) => ({
    live,
    component: id,
    componentPath: path,
    modules,
    analysis: byPath.get(definition)?.analysis ?? {},
  }));
  return new Map([app, ...others].map((code) => [code.component, tabulate(code)]));
}
