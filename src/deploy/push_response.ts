/** The answers of the deploy API in the shapes that the CLI parses (deploy-protocol 3.6, 3.8). */
import { Buffer } from "node:buffer";
import type { AnalyzedFunction, AnalyzedModule } from "../isolate/protocol.ts";
import type { AppAnalysis } from "./analysis.ts";
import type { DeploymentRecord } from "./deployment.ts";
import type { IndexDiff } from "./index_plan.ts";
import type { ParsedSchema } from "./schema_definition.ts";

export interface StartedPush {
  /** Comes back in `finish_push`. */
  readonly id: string;
  readonly record: DeploymentRecord;
  readonly analysis: AppAnalysis;
  readonly variables: Readonly<Record<string, string>>;
  readonly schemaId: string | null;
  readonly indexDiff: IndexDiff;
}

export function startPushResponse(push: StartedPush) {
  const { analysis, record } = push;
  return {
    environmentVariables: push.variables,
    externalDepsId: record.externalPackages?.key ?? null,
    componentDefinitionPackages: { "": { pushId: push.id } },
    appAuth: analysis.authProviders,
    analysis: { "": definitionResponse(analysis, record) },
    app: {
      definitionPath: "",
      componentPath: "",
      httpPrefix: null,
      args: {},
      env: {},
      childComponents: {},
      httpRoutes: {
        httpModuleRoutes: analysis.modules["http.js"]?.httpRoutes ?? null,
        mounts: [],
      },
      exports: {},
    },
    schemaChange: schemaChangeResponse(push.schemaId, push.indexDiff),
  };
}

export function schemaChangeResponse(schemaId: string | null, indexDiff: IndexDiff) {
  return {
    allocatedComponentIds: {},
    schemaIds: { "": schemaId },
    indexDiffs: { "": indexDiff },
  };
}

function definitionResponse(analysis: AppAnalysis, { udfConfig }: DeploymentRecord) {
  const time = Buffer.alloc(8);
  time.writeBigInt64LE(BigInt(udfConfig.importTimeMs));
  return {
    definition: {
      path: "",
      definitionType: { type: "app" },
      childComponents: [],
      httpMounts: {},
      httpPrefix: null,
      exports: { type: "branch", branch: [] },
      envVars: analysis.definition.variables,
    },
    schema: analysis.schema === null ? null : schemaResponse(analysis.schema.parsed),
    functions: Object.fromEntries(
      Object.entries(analysis.modules).map(([path, module]) => [path, moduleResponse(module)]),
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
function cronJobs(crons: string | null | undefined): Map<string, CronJob> {
  return new Map(Object.entries(JSON.parse(crons ?? "{}") as Record<string, CronJob>));
}

interface ListDiff {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export interface FinishPushResponse {
  readonly authDiff: ListDiff;
  readonly definitionDiffs: Readonly<Record<string, Record<never, never>>>;
  /** By path of the component instance; the app is the empty one. */
  readonly componentDiffs: Readonly<Record<string, ComponentDiff>>;
}

interface ComponentDiff {
  readonly diffType: { readonly type: "create" | "modify" };
  readonly moduleDiff: ListDiff;
  readonly udfConfigDiff: {
    readonly previous_version: string;
    readonly next_version: string;
  } | null;
  readonly cronDiff: {
    readonly added: readonly string[];
    readonly updated: readonly string[];
    readonly deleted: readonly string[];
  };
  readonly indexDiff: IndexDiff;
  readonly schemaDiff: {
    readonly previous_schema: string | null;
    readonly next_schema: string | null;
  } | null;
}

/** The answer of a `finish_push` that replaced `previous` by `next`. */
export function finishPushResponse(
  previous: DeploymentRecord | null,
  next: DeploymentRecord,
  indexDiff: IndexDiff,
): FinishPushResponse {
  const providers = (record: DeploymentRecord | null) =>
    record?.authProviders.map((provider) => JSON.stringify(provider)) ?? [];
  const paths = (record: DeploymentRecord | null) =>
    record?.modules.map((module) => module.path) ?? [];
  const version = (record: DeploymentRecord) => record.udfConfig.serverVersion;
  const versionChanged = previous !== null && version(previous) !== version(next);
  const schemaChanged = (previous?.schema ?? null) !== next.schema;
  return {
    authDiff: listDiff(providers(previous), providers(next)),
    definitionDiffs: { "": {} },
    componentDiffs: {
      "": {
        diffType: { type: previous === null ? "create" : "modify" },
        moduleDiff: listDiff(paths(previous), paths(next)),
        udfConfigDiff: versionChanged
          ? { previous_version: version(previous), next_version: version(next) }
          : null,
        cronDiff: cronDiff(previous, next),
        indexDiff,
        schemaDiff: schemaChanged
          ? { previous_schema: previous?.schema ?? null, next_schema: next.schema }
          : null,
      },
    },
  };
}

/** The answer of a dry run: nothing differs. */
export const dryRunResponse: FinishPushResponse = {
  authDiff: { added: [], removed: [] },
  definitionDiffs: {},
  componentDiffs: {},
};

function listDiff(before: readonly string[], after: readonly string[]): ListDiff {
  return {
    added: after.filter((entry) => !before.includes(entry)),
    removed: before.filter((entry) => !after.includes(entry)),
  };
}

function cronDiff(
  previous: DeploymentRecord | null,
  next: DeploymentRecord,
): ComponentDiff["cronDiff"] {
  const before = cronJobs(previous?.analysis["crons.js"]?.crons);
  const after = cronJobs(next.analysis["crons.js"]?.crons);
  const { added, removed } = listDiff([...before.keys()], [...after.keys()]);
  const updated = [...after].filter(([identifier, job]) =>
    before.has(identifier) && JSON.stringify(before.get(identifier)) !== JSON.stringify(job)
  ).map(([identifier]) => identifier);
  return { added, updated, deleted: removed };
}
