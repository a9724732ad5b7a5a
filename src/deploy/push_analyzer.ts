/** The first half of `start_push`: stores what a push brings and finds out what it would make live. */
import { Buffer } from "node:buffer";
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import type { Isolates } from "../isolate/isolates.ts";
import {
  analyzeApp,
  analyzeSchema,
  type AppAnalysis,
  definitionPath,
  schemaPath,
} from "./analysis.ts";
import { notBuilt } from "./app_definition.ts";
import type { DeploymentRecord, ExternalPackages, PushedModule } from "./deployment.ts";
import type { ExternalPackageStore } from "./external_packages.ts";
import type { LiveDeployment } from "./live_deployment.ts";
import type { ModuleStore } from "./module_store.ts";
import type { PushedModuleBody, StartPushRequest } from "./push_request.ts";
import { bundledModule, collectModules, saveModule } from "./pushed_modules.ts";
import type { ParsedSchema } from "./schema_definition.ts";

export interface PushAnalyzerOptions {
  readonly isolates: Isolates;
  readonly live: LiveDeployment;
  readonly environment: Environment;
  readonly store: ModuleStore;
  readonly packages: ExternalPackageStore;
}

/** What a push would make live. */
export interface AnalyzedPush {
  readonly id: string;
  readonly record: DeploymentRecord;
  readonly analysis: AppAnalysis;
  /** The deployment's variables when it was analysed. */
  readonly variables: Readonly<Record<string, string>>;
}

const nodeVersions = ["20", "22", "24"];

export class PushAnalyzer {
  readonly #options: PushAnalyzerOptions;

  constructor(options: PushAnalyzerOptions) {
    this.#options = options;
  }

  /** @throws RequestError with what the developer has to mend. */
  async analyze(request: StartPushRequest): Promise<AnalyzedPush> {
    const { live, isolates, store, environment } = this.#options;
    checkSupported(request);
    const { appDefinition, nodeVersion } = request;
    const modules = await collectModules(request, store, live.record);
    const extraModules = await this.#saveExtra(
      [appDefinition.schema, schemaPath],
      [appDefinition.definition, definitionPath],
    );
    const externalPackages = await this.#installPackages(request, modules);
    const id = this.#newId();
    const udfConfig = this.#udfConfig(appDefinition.udfServerVersion);
    const { variables } = live;
    const node = { nodeVersion: nodeVersion ?? null, externalPackages };
    const analysis = await analyzeApp(
      isolates,
      live.manifestOf({ id, modules: [...modules, ...extraModules], udfConfig, ...node }),
    );
    const record: DeploymentRecord = {
      id,
      pushedAtMs: environment.nowMs(),
      modules,
      analysis: analysis.modules,
      udfConfig,
      schema: analysis.schema?.json ?? null,
      authProviders: analysis.authProviders,
      builtInVariables: live.builtInVariables,
      ...node,
    };
    return { id, record, analysis, variables };
  }

  /** The schema alone; null when the push has none. @throws RequestError */
  async analyzeSchema({ appDefinition }: StartPushRequest): Promise<ParsedSchema | null> {
    const { live, isolates } = this.#options;
    const modules = await this.#saveExtra([appDefinition.schema, schemaPath]);
    const udfConfig = this.#udfConfig(appDefinition.udfServerVersion);
    const manifest = live.manifestOf({ id: this.#newId(), modules, udfConfig });
    return (await analyzeSchema(isolates, manifest))?.parsed ?? null;
  }

  /** Modules that the push evaluates and does not keep; null ones are left out. */
  async #saveExtra(
    ...modules: [module: PushedModuleBody | null | undefined, path: string][]
  ): Promise<PushedModule[]> {
    const saved = modules.map(([module, path]) =>
      module ? [saveModule(bundledModule({ ...module, path }), this.#options.store)] : []
    );
    return await Promise.all(saved.flat());
  }

  async #installPackages(
    { nodeDependencies, nodeVersion }: StartPushRequest,
    modules: readonly PushedModule[],
  ): Promise<ExternalPackages | null> {
    if (nodeDependencies.length === 0) return null;
    const { packages, store } = this.#options;
    const nodeBytes = await store.sizeOf(
      modules.filter(({ environment }) => environment === "node"),
    );
    const options = { nodeVersion: nodeVersion ?? null, nodeBytes };
    return await packages.install(nodeDependencies, options);
  }

  #newId(): string {
    return Buffer.from(this.#options.environment.randomBytes(16)).toString("hex");
  }

  /** Kept while the library's version stays, so that pushing again changes nothing seen at import. */
  #udfConfig(serverVersion: string): DeploymentRecord["udfConfig"] {
    const { live, environment } = this.#options;
    const previous = live.record?.udfConfig;
    if (previous?.serverVersion === serverVersion) return previous;
    return {
      serverVersion,
      importSeed: Buffer.from(environment.randomBytes(32)).toString("hex"),
      importTimeMs: environment.nowMs(),
    };
  }
}

function checkSupported(request: StartPushRequest): void {
  const { componentDefinitions, nodeVersion } = request;
  if (componentDefinitions.length > 0) throw notBuilt("components");
  if (nodeVersion == null || nodeVersions.includes(nodeVersion)) return;
  const known = nodeVersions.join(", ");
  throw new RequestError(
    "badRequest",
    nodeVersion === "18" ? "NodeVersionNotSupported" : "InvalidConfig",
    `Node.js version ${nodeVersion} is not supported; choose one of ${known} in convex.json.`,
  );
}
