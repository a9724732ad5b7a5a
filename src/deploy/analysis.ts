/** Evaluates the modules of a push in isolates and turns what they export into the parts of a deployment. */
import type { AuthProvider } from "../auth/auth_provider.ts";
import { errorMessage, RequestError } from "../errors.ts";
import type { Isolates } from "../isolate/isolates.ts";
import type { AnalyzedModule, DeploymentManifest } from "../isolate/protocol.ts";
import { parseAuthProviders } from "./auth_providers.ts";
import {
  type ComponentDefinition,
  invalidDefinition,
  parseDefinition,
} from "./component_definition.ts";
import { cronsPath, parseCronDefinitions } from "./cron_definitions.ts";
import { definitionOfModule } from "./definition_modules.ts";
import { type ExportTree, exportTree } from "./function_exports.ts";
import { isChunk } from "./module_path.ts";
import { type ParsedSchema, parseSchema, schemaError } from "./schema_definition.ts";

/** What the modules of one definition, the app's or a component's, turn out to hold. */
export interface CodeAnalysis {
  /** By path; without chunks, schema and definition. */
  readonly modules: Readonly<Record<string, AnalyzedModule>>;
  readonly schema: ExportedSchema | null;
  readonly exports: ExportTree;
}

export interface AppAnalysis extends CodeAnalysis {
  readonly authProviders: readonly AuthProvider[];
  /** By path: the app's and those that it uses; see definition_modules.ts. */
  readonly definitions: ReadonlyMap<string, ComponentDefinition>;
}

export interface ExportedSchema {
  /** As `schema.js` exported it. */
  readonly json: string;
  readonly parsed: ParsedSchema;
}

export const schemaPath = "schema.js";
const authConfigPath = "auth.config.js";

/**
 * Analyses the app's own modules, which include `schema.js`, if there is one, and those with all definitions.
 * @throws RequestError with what the developer has to mend (deploy-protocol 3.10).
 */
export async function analyzeApp(
  isolates: Isolates,
  manifest: DeploymentManifest,
): Promise<AppAnalysis> {
  const { definitions, modules, schema } = await analyze(isolates, manifest);
  return {
    ...readCode(modules, schema),
    authProviders: readAuthProviders(modules[authConfigPath]),
    definitions,
  };
}

/**
 * Like `analyzeApp` for the modules of a component's definition, without the definition itself.
 * @throws RequestError that names the component.
 */
export async function analyzeComponentCode(
  isolates: Isolates,
  manifest: DeploymentManifest,
  definition: string,
): Promise<CodeAnalysis> {
  try {
    const { modules, schema } = await analyze(isolates, manifest);
    return readCode(modules, schema);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const { kind, code, message } = error;
    throw new RequestError(kind, code, `In component \`${definition}\`: ${message}`);
  }
}

/** Like `analyzeApp` for a deployment of `schema.js` alone, or of nothing. */
export async function analyzeSchema(
  isolates: Isolates,
  manifest: DeploymentManifest,
): Promise<ExportedSchema | null> {
  if (manifest.modules.length === 0) return null;
  return readSchema((await analyze(isolates, manifest)).schema);
}

/** The providers of a deployment alone, whose `auth.config.js` reads the variables of the manifest. */
export async function analyzeAuthConfig(
  isolates: Isolates,
  manifest: DeploymentManifest,
): Promise<readonly AuthProvider[]> {
  const modules = manifest.modules.filter(({ path }) => path === authConfigPath || isChunk(path));
  const analyzed = await analyze(isolates, { ...manifest, modules });
  return readAuthProviders(analyzed.modules[authConfigPath]);
}

interface Analyzed {
  readonly modules: Readonly<Record<string, AnalyzedModule>>;
  readonly schema: AnalyzedModule | undefined;
  readonly definitions: ReadonlyMap<string, ComponentDefinition>;
}

async function analyze(isolates: Isolates, manifest: DeploymentManifest): Promise<Analyzed> {
  const result = await isolates.analyze(manifest);
  if (result.kind === "failure") throw analysisError(result.module, result.message);
  const { [schemaPath]: schema, ...rest } = result.modules;
  const definitions = new Map<string, ComponentDefinition>();
  const modules: Record<string, AnalyzedModule> = {};
  for (const [path, module] of Object.entries(rest)) {
    const definition = definitionOfModule(path);
    if (definition === undefined) modules[path] = module;
    else definitions.set(definition, parseDefinition(definition, module.exported ?? ""));
  }
  return { modules, schema, definitions };
}

function readCode(
  modules: Readonly<Record<string, AnalyzedModule>>,
  schema: AnalyzedModule | undefined,
): CodeAnalysis {
  const exports = exportTree(modules);
  checkCrons(modules);
  return { modules, schema: readSchema(schema), exports };
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
  if (module === schemaPath) return schemaError(schemaErrorCode(message), message);
  if (module === authConfigPath) return authConfigError(message);
  const definition = definitionOfModule(module);
  if (definition === undefined) return modulesError(module, message);
  return definitionError(definition, message);
}

/** What analysis says of a default export that is no definition; other messages are errors of the code. */
const definitionReason =
  /^(missing default export|the default export is not an object|`convex.config.ts` has more than one export|missing `export` property on the default export of `convex.config.ts`)$/;

function definitionError(path: string, message: string): RequestError {
  if (definitionReason.test(message)) return invalidDefinition(path, message);
  const where = path === "" ? "" : `In component \`${path}\`: `;
  return badRequest("InvalidConvexConfig", where + message);
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

function badRequest(code: string, message: string): RequestError {
  return new RequestError("badRequest", code, message);
}
