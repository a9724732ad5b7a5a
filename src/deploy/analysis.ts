/** Evaluates the modules of a push in an isolate and turns what they export into the parts of a deployment. */
import type { AuthProvider } from "../auth/auth_provider.ts";
import { errorMessage, RequestError } from "../errors.ts";
import type { Isolates } from "../isolate/isolates.ts";
import type { AnalyzedModule, DeploymentManifest } from "../isolate/protocol.ts";
import { type AppDefinition, parseAppDefinition } from "./app_definition.ts";
import { parseAuthProviders } from "./auth_providers.ts";
import { cronsPath, parseCronDefinitions } from "./cron_definitions.ts";
import { isChunk } from "./module_path.ts";
import { type ParsedSchema, parseSchema, schemaError } from "./schema_definition.ts";

export interface AppAnalysis {
  /** By path; without chunks, schema and definition. */
  readonly modules: Readonly<Record<string, AnalyzedModule>>;
  readonly authProviders: readonly AuthProvider[];
  readonly schema: ExportedSchema | null;
  readonly definition: AppDefinition;
}

export interface ExportedSchema {
  /** As `schema.js` exported it. */
  readonly json: string;
  readonly parsed: ParsedSchema;
}

export const schemaPath = "schema.js";
export const definitionPath = "convex.config.js";
const authConfigPath = "auth.config.js";

/**
 * Analyses a deployment whose modules include `schema.js`, if there is one, and `convex.config.js`.
 * @throws RequestError with what the developer has to mend (deploy-protocol 3.10).
 */
export async function analyzeApp(
  isolates: Isolates,
  manifest: DeploymentManifest,
): Promise<AppAnalysis> {
  const result = await isolates.analyze(manifest);
  if (result.kind === "failure") throw analysisError(result.module, result.message);
  const { [schemaPath]: schema, [definitionPath]: definition, ...rest } = result.modules;
  const modules = Object.fromEntries(Object.entries(rest).filter(([path]) => !isChunk(path)));
  checkExports(modules);
  checkCrons(modules);
  return {
    modules,
    authProviders: readAuthProviders(modules[authConfigPath]),
    schema: readSchema(schema),
    definition: parseAppDefinition(definition?.exported ?? ""),
  };
}

/** Like `analyzeApp` for a deployment of `schema.js` alone, or of nothing. */
export async function analyzeSchema(
  isolates: Isolates,
  manifest: DeploymentManifest,
): Promise<ExportedSchema | null> {
  if (manifest.modules.length === 0) return null;
  const result = await isolates.analyze(manifest);
  if (result.kind === "failure") throw analysisError(result.module, result.message);
  return readSchema(result.modules[schemaPath]);
}

/** The providers of a deployment alone, whose `auth.config.js` reads the variables of the manifest. */
export async function analyzeAuthConfig(
  isolates: Isolates,
  manifest: DeploymentManifest,
): Promise<readonly AuthProvider[]> {
  const modules = manifest.modules.filter(({ path }) => path === authConfigPath || isChunk(path));
  const result = await isolates.analyze({ ...manifest, modules });
  if (result.kind === "failure") throw analysisError(result.module, result.message);
  return readAuthProviders(result.modules[authConfigPath]);
}

function readAuthProviders(module: AnalyzedModule | undefined): readonly AuthProvider[] {
  const json = module?.exported;
  return json == null ? [] : parseAuthProviders(json);
}

function readSchema(module: AnalyzedModule | undefined): ExportedSchema | null {
  const json = module?.exported;
  return json == null ? null : { json, parsed: parseSchema(json) };
}

function checkCrons(modules: Readonly<Record<string, AnalyzedModule>>): void {
  try {
    parseCronDefinitions(modules);
  } catch (error) {
    throw modulesError(cronsPath, errorMessage(error));
  }
}

function analysisError(module: string, message: string): RequestError {
  switch (module) {
    case schemaPath:
      return schemaError(schemaErrorCode(message), message);
    case definitionPath:
      return badRequest("InvalidConvexConfig", message);
    case authConfigPath:
      return authConfigError(message);
    default:
      return modulesError(module, message);
  }
}

function authConfigError(message: string): RequestError {
  if (message.includes("is used in auth config file but its value was not set")) {
    return badRequest("AuthConfigMissingEnvironmentVariable", message);
  }
  if (message.includes("missing default export")) {
    return badRequest("AuthConfigMissingExportError", message);
  }
  return modulesError(authConfigPath, message);
}

function schemaErrorCode(message: string): string {
  if (message.startsWith("Schema file missing default export")) return "MissingSchemaExportError";
  if (message.startsWith("Environment variables unsupported")) {
    return "NoEnvironmentVariablesInSchema";
  }
  return "InvalidSchemaExport";
}

/** A module that cannot be loaded, as the developer reads it. */
export function modulesError(module: string, message: string): RequestError {
  return badRequest(
    "InvalidModules",
    `Loading the pushed modules encountered the following\n    error:\nFailed to analyze ${module}: ${message}`,
  );
}

/** `foo.js` must not export what `foo/bar.js` occupies: both would be `api.foo.bar`. */
function checkExports(modules: Readonly<Record<string, AnalyzedModule>>): void {
  const branches = new Set<string>();
  const leaves = new Map<string, string>();
  for (const [path, { functions }] of Object.entries(modules)) {
    const name = path.replace(/\.js$/, "");
    const publicFunctions = functions.filter((found) => found.visibility === "public");
    if (publicFunctions.length === 0) continue;
    for (let end = name.length; end > 0; end = name.lastIndexOf("/", end - 1)) {
      branches.add(name.slice(0, end));
    }
    for (const found of publicFunctions) {
      leaves.set(`${name}/${found.name}`, `"${path}":${found.name}`);
    }
  }
  for (const [leaf, shown] of leaves) {
    if (branches.has(leaf)) {
      throw badRequest("InvalidExport", `Path ${shown} conflicts with existing export`);
    }
  }
}

function badRequest(code: string, message: string): RequestError {
  return new RequestError("badRequest", code, message);
}
