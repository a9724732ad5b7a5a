/** Which modules a push consists of: those it sends, and those it says have not changed (deploy-protocol 3.4). */
import { DeveloperError, type ErrorKind, RequestError } from "../errors.ts";
import { formatBytes } from "../values/limits.ts";
import { modulesError } from "./analysis.ts";
import type { BundledModule } from "./bundled_module.ts";
import type { DeploymentRecord, PushedModule } from "./deployment.ts";
import { canonicalModulePath, isChunk } from "./module_path.ts";
import type { ModuleStore } from "./module_store.ts";
import type {
  ComponentDefinitionBody,
  PushedModuleBody,
  StartPushRequest,
} from "./push_request.ts";

const modulesMax = 4096;
const modulesBytesMax = 230_000_000;
const isolateOnly = new Set(["http.js", "crons.js", "auth.config.js", "schema.js"]);

/**
 * Stores what the push sends and finds what it does not, in order of paths.
 * @throws RequestError when a module is not acceptable, or not the one that `live` has.
 */
export async function collectModules(
  { appDefinition, functions }: StartPushRequest,
  store: ModuleStore,
  live: DeploymentRecord | null,
): Promise<PushedModule[]> {
  const changed = (appDefinition.changedModules ?? appDefinition.functions ?? []).map(
    bundledModule,
  );
  const unchanged = appDefinition.unchangedModuleHashes.map((listed) =>
    findUnchanged(listed, live)
  );
  checkAmounts(changed, unchanged, functions);
  return sortedByPath([...unchanged, ...await saveModules(changed, store)]);
}

/** The same for a component, whose modules all come with the push. */
export async function collectComponentModules(
  { definitionPath, functions }: ComponentDefinitionBody,
  store: ModuleStore,
): Promise<PushedModule[]> {
  const modules = functions.map(bundledModule);
  const node = modules.find(({ environment }) => environment === "node");
  if (node !== undefined) {
    throw error(
      "badRequest",
      "NodeActionsNotSupported",
      `"use node" is not supported in components, and ${node.path} of component \`${definitionPath}\` has it.`,
    );
  }
  checkAmounts(modules, [], definitionPath);
  return sortedByPath(await saveModules(modules, store));
}

/** A module that is there twice counts once. */
function sortedByPath(modules: readonly PushedModule[]): PushedModule[] {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  return [...byPath.values()].sort((a, b) => a.path < b.path ? -1 : 1);
}

/** @throws RequestError when its path is not allowed, or not in its environment. */
export function bundledModule(body: PushedModuleBody): BundledModule {
  const { source, sourceMap, environment } = body;
  const path = canonicalModulePath(body.path);
  if (environment === "node" && isolateOnly.has(path)) {
    throw error("badRequest", "InvalidModules", `${path} can't be analyzed in Node.js!`);
  }
  return { path, source, environment, ...sourceMap != null && { sourceMap } };
}

/** @throws RequestError when one of the modules is no valid ES module. */
export async function saveModules(
  modules: readonly BundledModule[],
  store: ModuleStore,
): Promise<PushedModule[]> {
  return await Promise.all(modules.map(async (module) => {
    try {
      return await store.save(module);
    } catch (cause) {
      if (cause instanceof DeveloperError) throw modulesError(module.path, cause.message);
      throw cause;
    }
  }));
}

function findUnchanged(
  listed: StartPushRequest["appDefinition"]["unchangedModuleHashes"][number],
  live: DeploymentRecord | null,
): PushedModule {
  const path = canonicalModulePath(listed.path);
  const module = live?.modules.find((candidate) => candidate.path === path);
  if (module === undefined) {
    throw error("conflict", "MissingExistingModule", `The deployment has no module ${path}.`);
  }
  if (module.hash !== listed.sha256) {
    throw error(
      "conflict",
      "ExistingModuleHashConflict",
      `The module ${path} of the deployment has changed.`,
    );
  }
  if (module.environment !== listed.environment) {
    throw error(
      "conflict",
      "ExistingModuleEnvConflict",
      `The module ${path} of the deployment runs in another environment.`,
    );
  }
  return module;
}

function checkAmounts(
  changed: readonly BundledModule[],
  unchanged: readonly PushedModule[],
  folder: string,
): void {
  const count = [...changed, ...unchanged].filter((module) => !isChunk(module.path)).length;
  if (count > modulesMax) {
    throw error(
      "badRequest",
      "InvalidModules",
      `Too many function files (${count} > maximum ${modulesMax}) in "${folder}". See our docs (https://docs.convex.dev/production/state/limits) for more details.`,
    );
  }
  const bytes = changed.reduce(
    (sum, { source, sourceMap }) => sum + source.length + (sourceMap?.length ?? 0),
    0,
  );
  if (bytes > modulesBytesMax) {
    throw modulesTooLarge("unzipped", bytes, modulesBytesMax);
  }
}

export function modulesTooLarge(form: "zipped" | "unzipped", bytes: number, bytesMax: number) {
  const [size, limit] = [formatBytes(bytes), formatBytes(bytesMax)];
  return error(
    "badRequest",
    "ModulesTooLarge",
    `Total module size exceeded the ${form} maximum (${size} > maximum size ${limit})`,
  );
}

function error(kind: ErrorKind, code: string, message: string): RequestError {
  return new RequestError(kind, code, message);
}
