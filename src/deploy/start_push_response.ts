/** The answers of `start_push` and `evaluate_push` in the shapes that the CLI parses (deploy-protocol 3.6). */
import { Buffer } from "node:buffer";
import type { AnalyzedFunction, AnalyzedModule } from "../isolate/protocol.ts";
import type { CodeAnalysis } from "./analysis.ts";
import { appDefinitionPath, type ComponentDefinition } from "./component_definition.ts";
import type { ComponentNode } from "./component_check.ts";
import type { DeploymentRecord } from "./deployment.ts";
import type { ExportTree } from "./function_exports.ts";
import type { IndexDiff } from "./index_plan.ts";
import type { AnalyzedPush } from "./push_analyzer.ts";
import type { ParsedSchema } from "./schema_definition.ts";

export interface SchemaChange {
  /** Id of the schema of all components; null: there is nothing to wait for. */
  readonly schemaId: string | null;
  /** By path of the component. */
  readonly indexDiffs: Readonly<Record<string, IndexDiff>>;
}

export function startPushResponse(push: AnalyzedPush, change: SchemaChange) {
  const { analysis, componentCode, record, tree } = push;
  const definitions = [...analysis.definitions].map(([path, definition]) => {
    const code = path === appDefinitionPath ? analysis : componentCode.get(path)!;
    return [path, definitionResponse(definition, code, udfConfigOf(record, path))];
  });
  return {
    environmentVariables: push.variables,
    externalDepsId: record.externalPackages?.key ?? null,
    componentDefinitionPackages: { "": { pushId: push.id } },
    appAuth: analysis.authProviders,
    analysis: Object.fromEntries(definitions),
    app: componentResponse(tree, push),
    schemaChange: schemaChangeResponse(push, change),
  };
}

export function schemaChangeResponse({ record }: AnalyzedPush, change: SchemaChange) {
  const components = record.components ?? [];
  return {
    allocatedComponentIds: Object.fromEntries(components.map(({ path, id }) => [path, id])),
    schemaIds: { "": change.schemaId },
    indexDiffs: change.indexDiffs,
  };
}

function componentResponse(node: ComponentNode, push: AnalyzedPush): ComponentResponse {
  const { analysis, componentCode } = push;
  const { definition, path, httpPrefix, children } = node;
  const code = path === "" ? analysis : componentCode.get(definition.path)!;
  return {
    definitionPath: definition.path,
    componentPath: path,
    httpPrefix: path === "" ? definition.httpPrefix : httpPrefix,
    args: {},
    env: Object.fromEntries(node.env),
    childComponents: Object.fromEntries(
      [...children].map(([name, child]) => [name, componentResponse(child, push)]),
    ),
    httpRoutes: {
      httpModuleRoutes: code.modules["http.js"]?.httpRoutes ?? null,
      mounts: definition.httpMounts.map((mount) => mount.path),
    },
    exports: Object.fromEntries(resolvedExports(code.exports, path)),
  };
}

interface ComponentResponse {
  readonly definitionPath: string;
  readonly componentPath: string;
  readonly httpPrefix: string | null;
  readonly args: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, unknown>>;
  readonly childComponents: Readonly<Record<string, ComponentResponse>>;
  readonly httpRoutes: {
    readonly httpModuleRoutes: AnalyzedModule["httpRoutes"];
    readonly mounts: readonly string[];
  };
  readonly exports: Readonly<Record<string, unknown>>;
}

function resolvedExports(tree: ExportTree, component: string): [name: string, resolved: unknown][] {
  return [...tree].map(([name, node]) => {
    if (!("module" in node)) {
      const children = Object.fromEntries(resolvedExports(node, component));
      return [name, { type: "branch", children }];
    }
    const path = { component, udfPath: `${node.module}:${node.name}` };
    return [name, { type: "leaf", resource: { type: "function", path } }];
  });
}

function exportsResponse(tree: ExportTree): unknown {
  const branch = [...tree].map(([name, node]) => {
    if (!("module" in node)) return [name, exportsResponse(node)];
    return [name, { type: "leaf", leaf: `_reference/function/${node.module}:${node.name}` }];
  });
  return { type: "branch", branch };
}

function udfConfigOf({ udfConfig, definitions }: DeploymentRecord, path: string) {
  const component = definitions?.find((definition) => definition.path === path);
  return component === undefined
    ? udfConfig
    : { ...udfConfig, serverVersion: component.serverVersion };
}

function definitionResponse(
  definition: ComponentDefinition,
  { modules, schema, exports }: CodeAnalysis,
  udfConfig: DeploymentRecord["udfConfig"],
) {
  const time = Buffer.alloc(8);
  time.writeBigInt64LE(BigInt(udfConfig.importTimeMs));
  const { path, name, args, children, httpMounts, httpPrefix, variables } = definition;
  return {
    definition: {
      path,
      definitionType: name === null ? { type: "app" } : { type: "childComponent", name, args },
      childComponents: children.map((child) => ({
        name: child.name,
        path: child.definition,
        args: child.args,
        env: child.env,
      })),
      httpMounts: Object.fromEntries(
        httpMounts.map((mount) => [mount.path, `_reference/childComponent/${mount.name}`]),
      ),
      httpPrefix,
      exports: exportsResponse(exports),
      envVars: variables,
    },
    schema: schema === null ? null : schemaResponse(schema.parsed),
    functions: Object.fromEntries(
      Object.entries(modules).map(([path, module]) => [path, moduleResponse(module)]),
    ),
    udfConfig: {
      serverVersion: udfConfig.serverVersion,
      importPhaseRngSeed: { $bytes: Buffer.from(udfConfig.importSeed, "hex").toString("base64") },
      importPhaseUnixTimestamp: { $integer: time.toString("base64") },
    },
  };
}

function schemaResponse(schema: ParsedSchema) {
  const withCreationTime = (indexes: ParsedSchema["tables"][number]["indexes"]) =>
    indexes.map((index) => ({ ...index, fields: [...index.fields, "_creationTime"] }));
  return {
    ...schema,
    tables: schema.tables.map((table) => ({
      ...table,
      indexes: withCreationTime(table.indexes),
      stagedDbIndexes: withCreationTime(table.stagedDbIndexes),
    })),
  };
}

function moduleResponse({ functions, httpRoutes, crons }: AnalyzedModule) {
  return {
    functions: functions.map(functionResponse),
    httpRoutes: httpRoutes?.map((route) => ({ route, pos: null })) ?? null,
    cronSpecs: crons === null ? null : [...cronJobs(crons)].map(([identifier, cron]) => ({
      identifier,
      spec: { udfPath: cron.name, udfArgs: cron.args, cronSchedule: cron.schedule },
    })),
    sourceMapped: null,
  };
}

function functionResponse({ position, visibility, ...rest }: AnalyzedFunction) {
  return {
    ...rest,
    pos: position && {
      path: position.path,
      start_lineno: position.line,
      start_col: position.column,
    },
    visibility: visibility && { kind: visibility },
  };
}

interface CronJob {
  readonly name: string;
  readonly args: unknown;
  readonly schedule: unknown;
}

/** The jobs of `crons.js` by identifier, from its export's JSON text. */
export function cronJobs(crons: string | null | undefined): Map<string, CronJob> {
  return new Map(Object.entries(JSON.parse(crons ?? "{}") as Record<string, CronJob>));
}
