/** The first half of `start_push`: stores what a push brings and finds out what it would make live. */
import { Buffer } from "node:buffer";
import { assert } from "../assert.ts";
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import { type Component, newComponentId } from "../database/component.ts";
import type { Isolates } from "../isolate/isolates.ts";
import {
  analyzeApp,
  analyzeSchema,
  type AppAnalysis,
  type CodeAnalysis,
  schemaPath,
} from "./analysis.ts";
import { analyzeComponent, type AnalyzedComponent } from "./component_analyzer.ts";
import { appDefinitionPath, type ComponentDefinition } from "./component_definition.ts";
import { allocateComponents } from "./component_ids.ts";
import { checkComponentTree, type ComponentNode } from "./component_check.ts";
import { appDefinitionModule, definitionModules, definitionOrder } from "./definition_modules.ts";
import type { DeploymentRecord, ExternalPackages, PushedModule } from "./deployment.ts";
import type { ExternalPackageStore } from "./external_packages.ts";
import type { LiveDeployment } from "./live_deployment.ts";
import type { ModuleStore } from "./module_store.ts";
import type { StartPushRequest } from "./push_request.ts";
import { bundledModule, collectModules, saveModules } from "./pushed_modules.ts";
import type { ParsedSchema } from "./schema_definition.ts";

export interface PushAnalyzerOptions {
  readonly isolates: Isolates;
  readonly live: LiveDeployment;
  readonly environment: Environment;
  readonly store: ModuleStore;
  readonly packages: ExternalPackageStore;
  /** All components that have data, unmounted ones included. */
  readonly knownComponents: () => readonly Pick<Component, "id" | "parent" | "name">[];
}

/** What a push would make live. */
export interface AnalyzedPush {
  readonly id: string;
  readonly record: DeploymentRecord;
  readonly analysis: AppAnalysis;
  /** By path of the definition, those of components only. */
  readonly componentCode: ReadonlyMap<string, CodeAnalysis>;
  readonly tree: ComponentNode;
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
    checkNodeVersion(request);
    const { appDefinition, nodeVersion } = request;
    const order = definitionOrder(request);
    const modules = await collectModules(request, store, live.record);
    const evaluated = await this.#evaluatedModules(request, order);
    const externalPackages = await this.#installPackages(request, modules);
    const id = this.#newId();
    const udfConfig = this.#udfConfig(appDefinition.udfServerVersion);
    const { variables } = live;
    const node = { nodeVersion: nodeVersion ?? null, externalPackages };
    const analysis = await analyzeApp(
      isolates,
      live.manifestOf({ id, modules: [...modules, ...evaluated], udfConfig, ...node }),
    );
    const components = await this.#analyzeComponents(request, order, udfConfig);
    const tree = this.#checkTree(analysis, components, request.forCodegen);
    await store.keep();
    const app = mustDefinition(analysis, appDefinitionPath);
    const record: DeploymentRecord = {
      id,
      pushedAtMs: environment.nowMs(),
      modules,
      analysis: analysis.modules,
      udfConfig,
      schema: analysis.schema?.json ?? null,
      definitions: [...components].map(([path, { deployed }]) => ({
        ...deployed,
        httpMounts: mountsOf(mustDefinition(analysis, path)),
      })),
      components: allocateComponents(
        tree,
        this.#options.knownComponents(),
        () => newComponentId(environment),
      ),
      httpPrefix: app.httpPrefix,
      httpMounts: mountsOf(app),
      declaredVariables: app.variables,
      authProviders: analysis.authProviders,
      builtInVariables: live.builtInVariables,
      ...node,
    };
    const componentCode = new Map([...components].map(([path, { code }]) => [path, code]));
    return { id, record, analysis, componentCode, tree, variables };
  }

  /**
   * The schemas by path of the definition, null where there is none: the app's, and those of components that the live
   * app uses, whose tables are all that a schema can meet.
   * @throws RequestError
   */
  async analyzeSchemas(request: StartPushRequest): Promise<Map<string, ParsedSchema | null>> {
    const { live, isolates } = this.#options;
    const { appDefinition } = request;
    const { schema } = appDefinition;
    const bundled = schema ? [bundledModule({ ...schema, path: schemaPath })] : [];
    const modules = await saveModules(bundled, this.#options.store);
    const udfConfig = this.#udfConfig(appDefinition.udfServerVersion);
    const manifest = live.manifestOf({ id: this.#newId(), modules, udfConfig });
    const app = (await analyzeSchema(isolates, manifest))?.parsed ?? null;
    const used = (live.record?.components ?? []).map(({ definition }) => definition);
    const components = await this.#analyzeComponents(request, used, udfConfig);
    return new Map([
      [appDefinitionPath, app],
      ...[...components].map(([path, { code }]): [string, ParsedSchema | null] => [
        path,
        code.schema?.parsed ?? null,
      ]),
    ]);
  }

  /** Modules that the push evaluates and does not keep: the app's schema, and all definitions. */
  async #evaluatedModules(
    { appDefinition, componentDefinitions }: StartPushRequest,
    order: readonly string[],
  ): Promise<PushedModule[]> {
    const { schema, definition } = appDefinition;
    const bodies = new Map(componentDefinitions.map((each) => [each.definitionPath, each]));
    const modules = [
      ...schema ? [bundledModule({ ...schema, path: schemaPath })] : [],
      ...order.flatMap((path) => {
        const config = bundledModule({
          ...bodies.get(path)!.definition,
          path: appDefinitionModule,
        });
        return definitionModules(path, config);
      }),
      bundledModule({ ...definition, path: appDefinitionModule }),
    ];
    return await saveModules(modules, this.#options.store);
  }

  /** One after the other, because each needs an isolate of its own unless it is known. */
  async #analyzeComponents(
    { componentDefinitions }: StartPushRequest,
    used: readonly string[],
    udfConfig: DeploymentRecord["udfConfig"],
  ): Promise<Map<string, AnalyzedComponent>> {
    const { importSeed, importTimeMs } = udfConfig;
    const analyzed = new Map<string, AnalyzedComponent>();
    for (const body of componentDefinitions) {
      if (!used.includes(body.definitionPath)) continue;
      const importPhase = { importSeed, importTimeMs };
      analyzed.set(
        body.definitionPath,
        await analyzeComponent(body, importPhase, this.#options),
      );
    }
    return analyzed;
  }

  #checkTree(
    app: AppAnalysis,
    components: ReadonlyMap<string, AnalyzedComponent>,
    forCodegen: boolean,
  ): ComponentNode {
    const definitions = [...app.definitions].map(([path, definition]) => {
      const { modules } = path === appDefinitionPath ? app : components.get(path)!.code;
      return [path, { definition, httpRoutes: modules["http.js"]?.httpRoutes ?? null }] as const;
    });
    return checkComponentTree({ definitions: new Map(definitions), forCodegen });
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

function mustDefinition({ definitions }: AppAnalysis, path: string): ComponentDefinition {
  const definition = definitions.get(path);
  assert(definition !== undefined, "analysis covers every definition");
  return definition;
}

function mountsOf({ httpMounts }: ComponentDefinition): Record<string, string> {
  return Object.fromEntries(httpMounts.map(({ path, name }) => [path, name]));
}

function checkNodeVersion({ nodeVersion }: StartPushRequest): void {
  if (nodeVersion == null || nodeVersions.includes(nodeVersion)) return;
  const known = nodeVersions.join(", ");
  throw new RequestError(
    "badRequest",
    nodeVersion === "18" ? "NodeVersionNotSupported" : "InvalidConfig",
    `Node.js version ${nodeVersion} is not supported; choose one of ${known} in convex.json.`,
  );
}
