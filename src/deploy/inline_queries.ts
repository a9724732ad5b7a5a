/**
 * Queries that come with their code (deploy-protocol 6.2): `npx convex run --inline-query` and the dashboard. The code
 * is analysed and run beside the deployed code, in a query's transaction, which nobody commits, and is then forgotten.
 */
import { Buffer } from "node:buffer";
import type { Environment } from "../environment.ts";
import { DeveloperError, RequestError } from "../errors.ts";
import { appComponent, type ComponentId } from "../database/component.ts";
import type { DeployedFunction } from "../functions/function_table.ts";
import type { CallContext, FunctionResult } from "../functions/functions.ts";
import type { Isolates } from "../isolate/isolates.ts";
import type { DeploymentManifest } from "../isolate/protocol.ts";
import type { RemovalHold } from "../persistence/removal_hold.ts";
import type { PushedModule } from "./deployment.ts";
import type { LiveDeployment } from "./live_deployment.ts";
import { ModuleStore } from "./module_store.ts";

export interface InlineQueriesParts {
  readonly dataFolder: string;
  readonly live: LiveDeployment;
  readonly isolates: Pick<Isolates, "analyze">;
  readonly environment: Environment;
  readonly removals: RemovalHold;
  /** Runs a query under a manifest that is not live. */
  readonly run: (
    manifest: DeploymentManifest,
    query: DeployedFunction,
    args: string,
    context: CallContext,
  ) => Promise<FunctionResult>;
}

export interface InlineQuery {
  /** ES module whose default export is the query. */
  readonly source: string;
  /** JSON text of the arguments array. */
  readonly args: string;
  readonly component: ComponentId;
}

const queryPath = "testQuery.js";
const wrappersPath = "_system/repl/wrappers.js";
const wrappersSpecifier = /(["'])convex:\/_system\/repl\/wrappers\.js\1/g;

/** What the command line imports: builders of queries, as the function library has them. */
const wrappers = `
const builder = (visibility) => (definition) => {
  const handler = typeof definition === "function" ? definition : definition.handler;
  const validator = (name) => () => {
    const given = typeof definition === "function" ? undefined : definition[name];
    if (given === undefined) return name === "args" ? '{"type":"any"}' : "null";
    const isValidator = given !== null && given.isConvexValidator;
    return JSON.stringify(isValidator ? given.json : {
      type: "object",
      value: Object.fromEntries(Object.entries(given).map(([field, { json, isOptional }]) =>
        [field, { fieldType: json, optional: isOptional === "optional" }]
      )),
    });
  };
  return Object.assign((ctx, args) => handler(ctx, args), {
    isRegistered: true,
    isQuery: true,
    [visibility]: true,
    _handler: handler,
    exportArgs: validator("args"),
    exportReturns: validator("returns"),
  });
};
export const query = builder("isPublic");
export const internalQuery = builder("isInternal");
`;

export class InlineQueries {
  readonly #parts: InlineQueriesParts;
  readonly #store: ModuleStore;

  constructor(parts: InlineQueriesParts) {
    this.#parts = parts;
    this.#store = new ModuleStore(parts.dataFolder);
  }

  /** @throws RequestError with the code `InvalidTestQuery` when the source is no query. */
  async run(query: InlineQuery, context: CallContext): Promise<FunctionResult> {
    // No deployment has these modules: their files would go as soon as some other one ends.
    const release = this.#parts.removals.hold();
    try {
      return await this.#run(query, context);
    } finally {
      release();
    }
  }

  async #run(
    { source, args, component }: InlineQuery,
    context: CallContext,
  ): Promise<FunctionResult> {
    const modules = await this.#save(source);
    const { id, ...manifest } = this.#manifest(modules, component);
    const analysis = await this.#parts.isolates.analyze({
      ...manifest,
      id: `${id}.analysis`,
      modules: manifest.modules.filter(({ path }) => isInline(path)),
      components: [],
    });
    if (analysis.kind === "failure") throw invalidQuery(analysis.message);
    const functions = analysis.modules[queryPath]?.functions ?? [];
    if (functions.some(({ name }) => name !== "default")) {
      throw invalidQuery("Only `export default` is supported.");
    }
    const [found] = functions;
    if (found?.udfType !== "Query") {
      throw invalidQuery("Default export is not a Convex function.");
    }
    const query: DeployedFunction = {
      deployment: id,
      component,
      componentPath: manifest.components?.find((each) => each.id === component)?.path ?? "",
      kind: "query",
      isPublic: true,
      environment: "isolate",
      isSystem: false,
      module: queryPath,
      export: "default",
      path: "testQuery",
      args: found.args,
      returns: found.returns,
    };
    return await this.#parts.run({ ...manifest, id }, query, args, context);
  }

  async #save(source: string): Promise<PushedModule[]> {
    const local = source.replaceAll(wrappersSpecifier, `$1./${wrappersPath}$1`);
    const files = [[queryPath, local], [wrappersPath, wrappers]] as const;
    try {
      return await Promise.all(
        files.map(([path, source]) => this.#store.save({ path, source, environment: "isolate" })),
      );
    } catch (error) {
      if (error instanceof DeveloperError) throw invalidQuery(error.message);
      throw error;
    }
  }

  /** That of the live code, with the query in the place of the modules of the app or of one component. */
  #manifest(modules: readonly PushedModule[], component: ComponentId): DeploymentManifest {
    const { live, environment } = this.#parts;
    const id = `inline.${Buffer.from(environment.randomBytes(8)).toString("hex")}`;
    const udfConfig = live.record?.udfConfig ?? {
      serverVersion: "",
      importSeed: Buffer.from(environment.randomBytes(32)).toString("hex"),
      importTimeMs: environment.nowMs(),
    };
    if (component === appComponent) return live.manifestOf({ id, modules, udfConfig });
    const record = live.record;
    const manifest = record && live.manifestOf({ ...record, id });
    const inline = live.manifestOf({ id, modules, udfConfig }).modules;
    const components = manifest?.components ?? [];
    if (!components.some((each) => each.id === component)) {
      throw invalidQuery(`There is no component with the id ${component}.`);
    }
    return {
      ...manifest!,
      modules: inline,
      components: components.map((each) =>
        each.id === component ? { ...each, definition: id, modules: inline } : each
      ),
    };
  }
}

function isInline(path: string): boolean {
  return path === queryPath || path === wrappersPath;
}

function invalidQuery(message: string): RequestError {
  return new RequestError("badRequest", "InvalidTestQuery", message);
}
