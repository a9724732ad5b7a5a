/** Pushes an app to a server over the deploy API, in the steps of the official CLI (deploy-protocol 3.1). */
import type { AuthProvider } from "../src/auth/auth_provider.ts";
import type { AppFolder } from "../src/deploy/app_folder.ts";
import type { AppBundle } from "../src/deploy/bundle.ts";
import { type BundledModule, hashModule } from "../src/deploy/bundled_module.ts";
import { type AnalyzedBundle, generateCode } from "../src/deploy/generate_code.ts";
import { type ApiClient, ApiError } from "./api_client.ts";
import type { FinishedPush, FunctionSpec, PushChanges } from "./push_changes.ts";
import { Progress, withProgress } from "./terminal.ts";

interface ConfigHashes {
  readonly moduleHashes: readonly {
    readonly path: string;
    readonly hash: string;
    readonly environment: string;
  }[];
}

interface StartedPush {
  readonly analysis: AnalyzedBundle["analysis"];
  readonly schemaChange: unknown;
}

type SchemaStatus =
  | { readonly type: "raceDetected" | "complete" }
  | {
    readonly type: "inProgress";
    readonly components: Readonly<
      Record<string, { readonly indexesComplete: number; readonly indexesTotal: number }>
    >;
  }
  | { readonly type: "failed"; readonly error: string; readonly componentPath: string | null };

/** How long the server may take to say how far the schema is, in milliseconds: a bar moves as often. */
const schemaPollMs = 1000;

/**
 * Makes `bundle` what the server runs; on return it does, and the result tells what that changed. Types that depend on
 * the server's analysis are written on the way.
 * @throws ApiError when the server refuses; then nothing has changed there.
 */
export async function pushBundle(
  client: ApiClient,
  app: AppFolder,
  bundle: AppBundle,
): Promise<PushChanges> {
  const functionsBefore = await listFunctions(client);
  const hashes = await client.post("/api/get_config_hashes", {
    version: app.convexPackage.version,
  }) as ConfigHashes;
  const request = startPushRequest(app, bundle, hashes);
  const started = await withProgress(
    "Uploading and analysing the code",
    () => client.postCompressed("/api/deploy2/start_push", request),
  ) as StartedPush;
  await generateCode(app, { bundle, analysis: started.analysis });
  await waitForSchema(client, started);
  const finish = { startPush: started, dryRun: false, message: null };
  const finished = await withProgress(
    "Switching to the new code",
    () => client.postCompressed("/api/deploy2/finish_push", finish),
  ) as FinishedPush;
  const known = new Set(hashes.moduleHashes.map(({ path }) => path));
  const { changedModules } = request.appDefinition;
  return {
    functions: [functionsBefore, await listFunctions(client)],
    changedModules: changedModules.map(({ path }) => path).filter((path) => known.has(path)),
    finished,
  };
}

/**
 * Lets the server look at `bundle` as a push would, and changes nothing.
 * @throws ApiError when it would refuse, as far as it knows without looking at documents.
 */
export async function tryPush(
  client: ApiClient,
  app: AppFolder,
  bundle: AppBundle,
): Promise<{ readonly appAuth: readonly AuthProvider[] }> {
  const request = { ...startPushRequest(app, bundle, { moduleHashes: [] }), dryRun: true };
  return await client.postCompressed("/api/deploy2/start_push", request) as {
    appAuth: readonly AuthProvider[];
  };
}

async function listFunctions(client: ApiClient): Promise<readonly FunctionSpec[]> {
  return await client.query("_system/cli/modules:apiSpec", {}) as readonly FunctionSpec[];
}

/** The body of `start_push`, and of what only asks about a push. */
export function startPushRequest(
  app: AppFolder,
  bundle: AppBundle,
  { moduleHashes }: ConfigHashes,
) {
  const onServer = new Map(moduleHashes.map((module) => [module.path, module]));
  const isUnchanged = (module: BundledModule) => {
    const known = onServer.get(module.path);
    return known?.environment === module.environment && known.hash === hashModule(module);
  };
  return {
    dryRun: false,
    functions: app.functions,
    appDefinition: {
      definition: bundle.definition,
      dependencies: dependenciesOf(bundle),
      schema: bundle.schema,
      changedModules: bundle.modules.filter((module) => !isUnchanged(module)),
      unchangedModuleHashes: bundle.modules.filter(isUnchanged).map((module) => ({
        path: module.path,
        environment: module.environment,
        sha256: hashModule(module),
      })),
      udfServerVersion: app.convexPackage.version,
    },
    componentDefinitions: bundle.components.map((component) => ({
      definitionPath: component.definitionPath,
      definition: component.definition,
      dependencies: dependenciesOf(component),
      schema: component.schema,
      functions: component.modules,
      udfServerVersion: app.convexPackage.version,
    })),
    nodeDependencies: bundle.nodeDependencies,
    ...app.nodeVersion !== null && { nodeVersion: app.nodeVersion },
  };
}

function dependenciesOf({ imports }: Pick<AppBundle, "imports">): string[] {
  return [...new Set(imports.map(({ definitionPath }) => definitionPath))];
}

async function waitForSchema(client: ApiClient, { schemaChange }: StartedPush): Promise<void> {
  using progress = new Progress("Checking documents and filling indexes");
  for (;;) {
    const status = await client.post("/api/deploy2/wait_for_schema", {
      schemaChange,
      timeoutMs: schemaPollMs,
      dryRun: false,
    }) as SchemaStatus;
    switch (status.type) {
      case "complete":
        return;
      case "failed": {
        const { error, componentPath } = status;
        const place = componentPath ? ` in component "${componentPath}"` : "";
        throw new ApiError(400, "SchemaFailed", `Schema validation failed${place}.\n${error}`);
      }
      case "raceDetected":
        throw new ApiError(409, "RaceDetected", "Schema was overwritten by another push.");
      case "inProgress": {
        const parts = Object.values(status.components);
        progress.update(
          parts.reduce((sum, part) => sum + part.indexesComplete, 0),
          parts.reduce((sum, part) => sum + part.indexesTotal, 0),
        );
        continue;
      }
    }
  }
}
