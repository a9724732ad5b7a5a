import assert from "node:assert/strict";
import { RemovalHold } from "../persistence/removal_hold.ts";
import { defineSchema, defineTable } from "convex/server";
import { type GenericValidator, v } from "convex/values";
import { Committer } from "../committer/committer.ts";
import type { CommitterClient, ServerWrites } from "../committer/protocol.ts";
import { defaultConfig } from "../config.ts";
import {
  type DatabaseIndex,
  type IndexDefinition,
  isDatabaseIndex,
  type TableNumber,
} from "../database/catalog.ts";
import { listCronJobs } from "../database/cron_jobs.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { systemEnvironment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import type { Isolates } from "../isolate/isolates.ts";
import type { AnalysisResult, AnalyzedModule, DeploymentManifest } from "../isolate/protocol.ts";
import { MemoryPersistence } from "../persistence/memory.ts";
import type { CatalogChange } from "../persistence/persistence.ts";
import { ServerTransactions } from "../persistence/server_transactions.ts";
import { generateId } from "../values/document_id.ts";
import { lowestKey } from "../values/index_key.ts";
import { documentWrite } from "../../tests/support/document_writes.ts";
import { hashModule } from "./bundled_module.ts";
import { LiveDeployment } from "./live_deployment.ts";
import { PushService } from "./push.ts";

const nothing: AnalyzedModule = { functions: [], httpRoutes: null, crons: null, exported: null };
const appDefinition: AnalyzedModule = {
  ...nothing,
  exported: JSON.stringify({ definitionType: { type: "app" }, childComponents: [] }),
};
const aModule = { path: "a.js", source: "export const a = 1;", environment: "isolate" as const };

/** A push service on a database in memory, whose isolates answer what a test puts into `analysis`. */
class TestServer {
  readonly persistence = new MemoryPersistence();
  readonly manifests: DeploymentManifest[] = [];
  analysis: Record<string, AnalyzedModule> = {};
  failure: { module: string; message: string } | null = null;
  /** While set, no index gets filled. */
  fillingMayGoOn: Promise<void> = Promise.resolve();
  /** Set for minutes or more. */
  readonly longTimers = new Set<() => void>();
  backfills = 0;
  /** Changes of the catalog that are to meet one. */
  conflicts = 0;
  readonly #writer = this.persistence.openWriter();
  readonly #reader = this.persistence.openReader();
  readonly transactions = new ServerTransactions({
    committer: {} as CommitterClient,
    reader: this.#reader,
    environment: systemEnvironment,
    config: defaultConfig,
  });
  readonly live: LiveDeployment;
  pushes: PushService;
  #timestamp = 0;

  constructor(readonly dataFolder: string) {
    this.live = new LiveDeployment({
      dataFolder,
      builtInVariables: () => ({
        CONVEX_CLOUD_URL: "http://cloud",
        CONVEX_SITE_URL: "http://site",
      }),
      fileStorageSecret: "secret",
      use: (_record, manifest) => void this.manifests.push(manifest),
    });
    this.pushes = this.startPushService();
  }

  /** As a server does that starts on this database. */
  startPushService(): PushService {
    return this.pushes = new PushService({
      dataFolder: this.dataFolder,
      deployments: { inUse: [], onRetired() {}, prepare: async () => {}, discard() {} },
      removals: new RemovalHold(),
      live: this.live,
      config: defaultConfig,
      environment: { ...systemEnvironment, setTimer: (...timer) => this.#setTimer(...timer) },
      reader: this.#reader,
      isolates: { analyze: (manifest) => this.#analyze(manifest) } as Partial<Isolates> as Isolates,
      committer: {
        changeCatalog: (...change) => this.#changeCatalog(...change),
        backfill: (indexes) => this.#backfill(indexes),
      } as Partial<CommitterClient> as CommitterClient,
      transactions: this.transactions,
    });
  }

  get catalog() {
    return this.#writer.catalog;
  }

  indexes(): Pick<DatabaseIndex, "name" | "fields" | "state">[] {
    return this.catalog.indexes.filter(isDatabaseIndex)
      .map(({ name, fields, state }) => ({ name, fields, state }));
  }

  insert(table: string, fields: Record<string, string>, violation?: string): string {
    const existing = this.catalog.tables.find((found) => found.name === table);
    const number = existing?.number ?? 10_001 + this.catalog.tables.length as TableNumber;
    const id = generateId(number, systemEnvironment.randomBytes(14), 0);
    const data = existing ? this.catalog : {
      ...this.catalog,
      tables: [...this.catalog.tables, { name: table, number }],
    };
    this.#writer.apply([{
      timestamp: ++this.#timestamp as Timestamp,
      writes: {
        documents: [documentWrite(data, number, { after: { _id: id, ...fields } })],
        tables: existing ? [] : [{ name: table, number }],
        ...violation && { pendingSchemaViolation: { error: violation, tableName: table } },
      },
    }]);
    return id;
  }

  /** What a push answers that goes through all steps. */
  async push(request: Record<string, unknown> = {}) {
    const started = await this.pushes.startPush(startRequest(request));
    const status = await this.wait(started);
    assert.equal(status.type, "complete", JSON.stringify(status));
    return { started, finished: await this.finish(started) };
  }

  // deno-lint-ignore no-explicit-any -- what the client echoes
  wait(started: any, timeoutMs = 5000) {
    const { schemaChange } = JSON.parse(JSON.stringify(started));
    return this.pushes.waitForSchema({ schemaChange, timeoutMs });
  }

  finish(startPush: unknown, options: Record<string, unknown> = {}) {
    return this.pushes.finishPush({ startPush: structuredClone(startPush), ...options });
  }

  setSchema(tables: Parameters<typeof defineSchema>[0], options?: { schemaValidation: boolean }) {
    const exported = (defineSchema(tables, options) as unknown as { export(): string }).export();
    this.analysis["schema.js"] = { ...nothing, exported };
  }

  #setTimer(delayMs: number, callback: () => void): () => void {
    if (delayMs < 60_000) return systemEnvironment.setTimer(delayMs, callback);
    this.longTimers.add(callback);
    return () => this.longTimers.delete(callback);
  }

  async #analyze(manifest: DeploymentManifest): Promise<AnalysisResult> {
    if (this.failure !== null) return { kind: "failure", ...this.failure };
    const modules = Object.fromEntries(manifest.modules.map(({ path }) => [
      path,
      this.analysis[path] ?? (path === "convex.config.js" ? appDefinition : nothing),
    ]));
    return { kind: "success", modules };
  }

  async #changeCatalog(change: CatalogChange, onVisible?: () => void, written?: ServerWrites) {
    if (this.conflicts > 0) {
      this.conflicts--;
      throw new RequestError("writeConflict", "OptimisticConcurrencyControlFailure", "conflict");
    }
    const timestamp = ++this.#timestamp as Timestamp;
    const catalog = this.#writer.applyCatalogChange(change, timestamp, written?.writes.documents);
    onVisible?.();
    return { timestamp, catalog };
  }

  async #backfill(indexes: readonly IndexDefinition["id"][]) {
    await this.fillingMayGoOn;
    this.backfills++;
    const environment = { ...systemEnvironment, nowMs: () => this.#timestamp / 1000 };
    const committer = new Committer(this.#writer, environment);
    const backfill = { indexes, after: lowestKey };
    while (committer.backfill(backfill) === undefined) await Promise.resolve();
    this.#timestamp = this.#writer.lastTimestamp;
  }
}

const schemaModule = { path: "schema.js", source: "export default 1;", environment: "isolate" };

function startRequest(
  { schema = null, changed = [aModule], unchanged = [], version = "1.48.0", ...rest }: Record<
    string,
    unknown
  >,
) {
  return {
    adminKey: "k",
    dryRun: false,
    functions: "convex/",
    appDefinition: {
      definition: { path: "convex.config.js", source: "export default 1;", environment: "isolate" },
      dependencies: [],
      schema,
      changedModules: changed,
      unchangedModuleHashes: unchanged,
      udfServerVersion: version,
    },
    componentDefinitions: [],
    nodeDependencies: [],
    ...rest,
  };
}

async function withServer(test: (server: TestServer) => Promise<void>): Promise<void> {
  const dataFolder = await Deno.makeTempDir({ prefix: "hull-push-" });
  const server = new TestServer(dataFolder);
  try {
    await test(server);
  } finally {
    server.pushes.close();
    await Deno.remove(dataFolder, { recursive: true });
  }
}

async function assertRefused(
  push: Promise<unknown>,
  code: string,
  message: RegExp,
  kind = "badRequest",
): Promise<void> {
  await assert.rejects(push, (error) => {
    assert.ok(error instanceof RequestError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.equal(error.kind, kind);
    return true;
  });
}

const strings = (...names: string[]) =>
  defineTable(Object.fromEntries(names.map((name) => [name, v.string() as GenericValidator])));

Deno.test("a push makes its modules live and remembers their hashes", () =>
  withServer(async (server) => {
    assert.deepEqual(server.pushes.getConfigHashes().moduleHashes, []);
    server.analysis["a.js"] = {
      ...nothing,
      functions: [{
        name: "list",
        udfType: "Query",
        visibility: "public",
        args: "{}",
        returns: null,
        position: { path: "a.js", line: 1, column: 2 },
      }],
    };
    const { started, finished } = await server.push();
    assert.deepEqual(started.analysis[""].functions["a.js"]!.functions, [{
      name: "list",
      udfType: "Query",
      visibility: { kind: "public" },
      args: "{}",
      returns: null,
      pos: { path: "a.js", start_lineno: 1, start_col: 2 },
    }]);
    assert.deepEqual(Object.keys(started.analysis[""].functions), ["a.js"]);
    assert.deepEqual(finished.componentDiffs[""]!.diffType, { type: "create" });
    assert.deepEqual(finished.componentDiffs[""]!.moduleDiff, { added: ["a.js"], removed: [] });
    assert.deepEqual(server.manifests.at(-1)!.modules.map((module) => module.path), ["a.js"]);
    assert.deepEqual(server.pushes.getConfigHashes().moduleHashes, [
      { path: "a.js", hash: hashModule(aModule), environment: "isolate" },
    ]);
  }));

Deno.test("deploy-protocol 3.3: getConfigHashes() names the version of Node.js if the app does", () =>
  withServer(async (server) => {
    const answer = () => JSON.parse(JSON.stringify(server.pushes.getConfigHashes()));
    await server.push();
    assert.equal("nodeVersion" in answer(), false);
    await server.push({ nodeVersion: "22" });
    assert.equal(answer().nodeVersion, "22");
  }));

Deno.test("deploy-protocol 8, 9: unchanged modules are sent as hashes, modules in neither list go", () =>
  withServer(async (server) => {
    const bModule = { ...aModule, path: "b.js" };
    await server.push({ changed: [aModule, bModule] });
    const unchanged = [{ path: "b.js", environment: "isolate", sha256: hashModule(bModule) }];
    const { finished } = await server.push({ changed: [], unchanged });
    assert.deepEqual(finished.componentDiffs[""]!.moduleDiff, { added: [], removed: ["a.js"] });
    const [module] = server.manifests.at(-1)!.modules;
    assert.ok((await Deno.stat(module!.file)).isFile);
  }));

Deno.test("deploy-protocol 10: hashes that the server does not have are a conflict", () =>
  withServer(async (server) => {
    await server.push();
    const start = (listed: Record<string, string>) =>
      server.pushes.startPush(startRequest({
        changed: [],
        unchanged: [{
          path: "a.js",
          environment: "isolate",
          sha256: hashModule(aModule),
          ...listed,
        }],
      }));
    const conflict = "conflict";
    await assertRefused(start({ path: "x.js" }), "MissingExistingModule", /x\.js/, conflict);
    await assertRefused(start({ sha256: "0" }), "ExistingModuleHashConflict", /a\.js/, conflict);
    await assertRefused(
      start({ environment: "node" }),
      "ExistingModuleEnvConflict",
      /a\.js/,
      conflict,
    );
  }));

Deno.test("deploy-protocol 3.4: what Hull cannot accept is refused", () =>
  withServer(async (server) => {
    const start = (request: Record<string, unknown>) =>
      server.pushes.startPush(startRequest(request));
    const at = (path: string) => ({ changed: [{ ...aModule, path }] });
    for (
      const path of ["../a.js", "/a.js", "a b.js", "_/a.js", `${"x".repeat(65)}.js`, "_system/a.js"]
    ) {
      await assertRefused(start(at(path)), "BadConvexModuleIdentifier", /not a valid path/);
    }
    await assertRefused(start({ nodeVersion: "18" }), "NodeVersionNotSupported", /18/);
    await assertRefused(start({ nodeVersion: "7" }), "InvalidConfig", /7/);
    for (const version of ["^1.0.0", "latest", "file:/etc", "git+ssh://example.com/x"]) {
      const nodeDependencies = [{ name: "sharp", version }];
      await assertRefused(start({ nodeDependencies }), "InvalidConfig", /not an exact version/);
    }
    const nodeDependencies = [{ name: "../sharp", version: "1.0.0" }];
    await assertRefused(start({ nodeDependencies }), "InvalidConfig", /name of an npm package/);
    await assertRefused(start({ componentDefinitions: [{}] }), "InvalidConfig", /definitionPath/);
    await assertRefused(start({ functions: 1 }), "InvalidConfig", /functions/);
    const chunks = Array.from({ length: 4097 }, (_, i) => ({ ...aModule, path: `m${i}.js` }));
    await assertRefused(start({ changed: chunks }), "InvalidModules", /4097 > maximum 4096/);
    await assertRefused(
      start({ changed: [{ ...aModule, source: "await 1;" }] }),
      "InvalidModules",
      /Failed to analyze a\.js: Top-level awaits in source files are unsupported/,
    );
  }));

Deno.test("deploy-protocol 3.10: failures of analysis are wrapped with their codes", () =>
  withServer(async (server) => {
    const start = () => server.pushes.startPush(startRequest({ schema: schemaModule }));
    server.failure = { module: "a.js", message: "Uncaught Error: no" };
    await assertRefused(
      start(),
      "InvalidModules",
      /^Loading the pushed modules encountered the following\n {4}error:\nFailed to analyze a\.js: Uncaught Error: no$/,
    );
    server.failure = { module: "schema.js", message: "Uncaught Error: no" };
    await assertRefused(
      start(),
      "InvalidSchemaExport",
      /^Hit an error while evaluating your schema:\nUncaught/,
    );
    const message = "Environment variable X is used in auth config file but its value was not set";
    server.failure = { module: "auth.config.js", message };
    await assertRefused(start(), "AuthConfigMissingEnvironmentVariable", /Environment variable X/);
    server.failure = { module: "auth.config.js", message: "… is missing default export" };
    await assertRefused(start(), "AuthConfigMissingExportError", /missing default export/);
    const noSchema = "Schema file missing default export. To learn more, see …";
    server.failure = { module: "schema.js", message: noSchema };
    await assertRefused(start(), "MissingSchemaExportError", /Schema file missing default export/);
    server.failure = null;
    server.analysis["schema.js"] = { ...nothing, exported: "no JSON" };
    await assertRefused(start(), "InvalidSchemaExport", /isn't a Convex schema/);
    server.analysis = { "crons.js": { ...nothing, crons: "[]" } };
    const changed = [{ ...aModule, path: "crons.js" }];
    await assertRefused(
      server.pushes.startPush(startRequest({ changed })),
      "InvalidModules",
      /Failed to analyze crons\.js: Invalid JSON/,
    );
  }));

Deno.test("deploy-protocol 3.8.1, semantics 107: cron jobs switch in the commit that switches the code", () =>
  withServer(async (server) => {
    const mutation = {
      name: "tidy",
      udfType: "Mutation",
      visibility: "internal",
      args: null,
      returns: null,
      position: null,
    } as const;
    const define = (crons: Record<string, unknown>) => {
      const jobs = Object.entries(crons).map(([name, schedule]) => [
        name,
        { name: "a:tidy", args: [{ n: { $integer: "AQAAAAAAAAA=" } }], schedule },
      ]);
      server.analysis = {
        "a.js": { ...nothing, functions: [mutation] },
        "crons.js": { ...nothing, crons: JSON.stringify(Object.fromEntries(jobs)) },
      };
      return { changed: [aModule, { ...aModule, path: "crons.js" }] };
    };
    const jobs = () => server.transactions.read(listCronJobs);
    const everyHour = { type: "interval", hours: 1 };
    const started = await server.pushes.startPush(startRequest(define({ one: everyHour })));
    assert.deepEqual(jobs(), [], "nothing runs before the push is finished");
    server.conflicts = 3;
    const { componentDiffs } = await server.finish(started);
    assert.deepEqual(componentDiffs[""]!.cronDiff, { added: ["one"], updated: [], deleted: [] });
    assert.partialDeepStrictEqual(jobs(), [
      { name: "one", function: "a.js:tidy", args: [{ n: 1n }], schedule: everyHour },
    ]);
    await server.push(define({ two: everyHour }));
    assert.deepEqual(jobs().map(({ name }) => name), ["two"]);
    await server.push();
    assert.deepEqual(jobs(), [], "the app has no crons.js any more");
  }));

Deno.test("deploy-protocol 22: an export that takes the place of a module is refused", () =>
  withServer(async (server) => {
    const publicQuery = {
      udfType: "Query",
      visibility: "public",
      args: null,
      returns: null,
      position: null,
    } as const;
    const paths = ["foo.js", "foo/bar.js"];
    server.analysis["foo.js"] = { ...nothing, functions: [{ ...publicQuery, name: "bar" }] };
    server.analysis["foo/bar.js"] = { ...nothing, functions: [{ ...publicQuery, name: "f" }] };
    const changed = paths.map((path) => ({ ...aModule, path }));
    await assertRefused(
      server.pushes.startPush(startRequest({ changed })),
      "InvalidExport",
      /^Path "foo\.js":bar conflicts with existing export$/,
    );
  }));

Deno.test("deploy-protocol 3.9: auth.config.js gives the providers", () =>
  withServer(async (server) => {
    const changed = [aModule, { ...aModule, path: "auth.config.js" }];
    const exporting = (exported: unknown) => {
      server.analysis["auth.config.js"] = {
        ...nothing,
        exported: JSON.stringify(exported),
      };
      return server.pushes.startPush(startRequest({ changed }));
    };
    const jwt = { type: "customJwt", issuer: "https://i", jwks: "https://j", algorithm: "RS256" };
    const { appAuth } = await exporting({
      providers: [{ domain: "a.example", applicationID: "app" }, jwt],
    });
    assert.deepEqual(appAuth, [
      { domain: "https://a.example", applicationID: "app" },
      { ...jwt, applicationID: null },
    ]);
    await assertRefused(exporting({}), "AuthConfigNotMatchingSchemaError", /providers/);
    const bad = { providers: [{ domain: "https://", applicationID: "app" }] };
    await assertRefused(exporting(bad), "InvalidProviderDomainUrl", /is no domain of a provider/);
  }));

Deno.test("deploy-protocol 18, 26: a dry run and a push for code generation change nothing", () =>
  withServer(async (server) => {
    await server.push();
    const before = server.persistence.state;
    server.setSchema({ t: strings("f").index("by_f", ["f"]) });
    for (const flag of ["dryRun", "forCodegen"]) {
      const started = await server.pushes.startPush(
        startRequest({ schema: schemaModule, changed: [], [flag]: true }),
      );
      assert.deepEqual(started.schemaChange.indexDiffs[""]!.added_indexes, [
        { name: "t.by_f", type: "database", fields: ["f", "_creationTime"], staged: false },
      ]);
      assert.equal((await server.wait(started)).type, "complete");
      const finished = await server.finish(started, { dryRun: true });
      assert.deepEqual(finished.componentDiffs, {});
    }
    const evaluated = await server.pushes.evaluatePush(startRequest({ schema: schemaModule }));
    assert.equal(evaluated.schemaChange.indexDiffs[""]!.added_indexes.length, 1);
    assert.equal(server.persistence.state, before);
  }));

Deno.test("deploy-protocol 3.12: evaluateSchema tells which indexes of how large tables change", () =>
  withServer(async (server) => {
    for (let i = 0; i < 3; i++) server.insert("t", { f: `${i}`, g: "" });
    server.setSchema({ t: strings("f", "g").index("old", ["f"]) });
    await server.push({ schema: schemaModule });
    const before = server.persistence.state;
    server.setSchema({ t: strings("f", "g").index("new", ["g"]), other: strings() });
    const evaluate = async (schema: unknown) => {
      const body = startRequest({ schema });
      const response = await server.pushes.evaluateSchema(body);
      const { schemaValidation, indexes } = response.componentSchemaEvaluations[""]!;
      return {
        schemaValidation,
        indexes: indexes.map(({ name, change, numDocs }) => ({ name, change, numDocs })),
      };
    };
    assert.deepEqual(await evaluate(schemaModule), {
      schemaValidation: true,
      indexes: [
        { name: "t.new", change: "added", numDocs: 3 },
        { name: "t.old", change: "dropped", numDocs: 3 },
      ],
    });
    assert.deepEqual(await evaluate(null), {
      schemaValidation: false,
      indexes: [{ name: "t.old", change: "dropped", numDocs: 3 }],
    });
    assert.equal(server.persistence.state, before);
  }));

Deno.test("deploy-protocol 14: an index is filled before finish_push and enabled by it", () =>
  withServer(async (server) => {
    for (let i = 0; i < 5; i++) server.insert("t", { f: `${i}` });
    server.setSchema({ t: strings("f").index("by_f", ["f"]), other: strings() });
    const filling = Promise.withResolvers<void>();
    server.fillingMayGoOn = filling.promise;
    const started = await server.pushes.startPush(startRequest({ schema: schemaModule }));
    assert.deepEqual(server.catalog.tables.map((table) => table.name), ["t", "other"]);
    assert.deepEqual(server.indexes(), [{ name: "by_f", fields: ["f"], state: "backfilling" }]);
    const progress = await server.wait(started, 20);
    assert.ok(progress.type === "inProgress");
    assert.deepEqual(
      { ...progress.components[""], schemaValidationComplete: true },
      { schemaValidationComplete: true, indexesComplete: 0, indexesTotal: 1 },
    );
    await assertRefused(server.finish(started), "RaceDetected", /not ready/);
    filling.resolve();
    assert.deepEqual(await server.wait(started), { type: "complete" });
    const { componentDiffs } = await server.finish(started);
    assert.equal(componentDiffs[""]!.indexDiff.added_indexes[0]!.name, "t.by_f");
    assert.deepEqual(server.indexes(), [{ name: "by_f", fields: ["f"], state: "ready" }]);
    assert.equal(server.catalog.activeSchema!.tables.length, 2);
    assert.equal(server.catalog.pendingSchema, null);

    const { finished } = await server.push({ schema: schemaModule });
    assert.deepEqual(finished.componentDiffs[""]!.indexDiff.added_indexes, []);
  }));

Deno.test("deploy-protocol 15: a dropped or changed index serves the old code until finish_push", () =>
  withServer(async (server) => {
    server.setSchema({ t: strings("f", "g").index("a", ["f"]).index("b", ["g"]) });
    await server.push({ schema: schemaModule });
    server.setSchema({ t: strings("f", "g").index("a", ["f", "g"]) });
    const started = await server.pushes.startPush(startRequest({ schema: schemaModule }));
    assert.equal((await server.wait(started)).type, "complete");
    assert.deepEqual(server.indexes().map(({ name, state }) => [name, state]), [
      ["a", "ready"],
      ["b", "ready"],
      ["a", "backfilled"],
    ]);
    const { indexDiff } = (await server.finish(started)).componentDiffs[""]!;
    assert.deepEqual(indexDiff.added_indexes.map((index) => index.name), ["t.a"]);
    assert.deepEqual(indexDiff.removed_indexes.map((index) => index.name), ["t.a", "t.b"]);
    assert.deepEqual(server.indexes(), [{ name: "a", fields: ["f", "g"], state: "ready" }]);
  }));

Deno.test("semantics 42: a staged index is filled but not ready; unstaging enables it", () =>
  withServer(async (server) => {
    const table = strings("f");
    server.setSchema({ t: table.index("a", { fields: ["f"], staged: true }) });
    const { finished } = await server.push({ schema: schemaModule });
    assert.equal(finished.componentDiffs[""]!.indexDiff.added_indexes[0]!.staged, true);
    await new Promise((resolve) => setTimeout(resolve));
    assert.equal(server.indexes()[0]!.state, "staged");

    server.setSchema({ t: strings("f").index("a", ["f"]) });
    const enabled = (await server.push({ schema: schemaModule })).finished.componentDiffs[""]!;
    assert.deepEqual(enabled.indexDiff.enabled_indexes.map((index) => index.name), ["t.a"]);
    assert.deepEqual(enabled.indexDiff.added_indexes, []);
    assert.equal(server.indexes()[0]!.state, "ready");

    server.setSchema({ t: strings("f").index("a", { fields: ["f"], staged: true }) });
    const disabled = (await server.push({ schema: schemaModule })).finished.componentDiffs[""]!;
    assert.deepEqual(disabled.indexDiff.disabled_indexes.map((index) => index.name), ["t.a"]);
    assert.equal(server.indexes()[0]!.state, "staged");
  }));

Deno.test("deploy-protocol 3.6: a vector index is added, staged, enabled and removed like any other", () =>
  withServer(async (server) => {
    const index = {
      name: "t.by_vector",
      type: "vector" as const,
      vectorField: "f",
      dimensions: 3,
      filterFields: ["g"],
    };
    const push = async (spec?: { dimensions?: number; staged?: boolean }) => {
      const options = { vectorField: "f", dimensions: 3, filterFields: ["g"], ...spec };
      const table = strings("f", "g");
      // The types tell a staged index from another one by the literal.
      server.setSchema({ t: spec ? table.vectorIndex("by_vector", options as never) : table });
      const { finished } = await server.push({ schema: schemaModule });
      await new Promise((resolve) => setTimeout(resolve));
      return finished.componentDiffs[""]!.indexDiff;
    };
    const states = () => server.catalog.indexes.map(({ kind, state }) => [kind, state]);
    assert.deepEqual((await push({ staged: true })).added_indexes, [{ ...index, staged: true }]);
    assert.deepEqual(states(), [["vector", "staged"]]);
    assert.deepEqual((await push({})).enabled_indexes, [{ ...index, staged: false }]);
    assert.deepEqual(states(), [["vector", "ready"]]);
    assert.deepEqual((await push({ staged: true })).disabled_indexes, [{ ...index, staged: true }]);
    const changed = await push({ dimensions: 4 });
    assert.deepEqual(changed.added_indexes, [{ ...index, dimensions: 4, staged: false }]);
    assert.deepEqual(changed.removed_indexes, [{ ...index, staged: true }]);
    assert.deepEqual((await push()).removed_indexes.map(({ name }) => name), ["t.by_vector"]);
    assert.deepEqual(states(), []);
  }));

Deno.test("semantics 7.2: a push that unstages an index waits for what is left of its filling", () =>
  withServer(async (server) => {
    server.insert("t", { f: "x" });
    const filling = Promise.withResolvers<void>();
    server.fillingMayGoOn = filling.promise;
    server.setSchema({ t: strings("f").index("a", { fields: ["f"], staged: true }) });
    await server.push({ schema: schemaModule });
    server.setSchema({ t: strings("f").index("a", ["f"]) });
    const started = await server.pushes.startPush(startRequest({ schema: schemaModule }));
    assert.equal((await server.wait(started, 20)).type, "inProgress");
    assert.equal(server.indexes()[0]!.state, "stagedBackfilling");
    filling.resolve();
    assert.equal((await server.wait(started)).type, "complete");
    const { indexDiff } = (await server.finish(started)).componentDiffs[""]!;
    assert.deepEqual(indexDiff.enabled_indexes.map((index) => index.name), ["t.a"]);
    assert.equal(server.indexes()[0]!.state, "ready");
    assert.equal(server.backfills, 1);
  }));

Deno.test("semantics 7.2: a staged index that is being filled can be dropped", () =>
  withServer(async (server) => {
    const filling = Promise.withResolvers<void>();
    server.fillingMayGoOn = filling.promise;
    server.setSchema({ t: strings("f").index("a", { fields: ["f"], staged: true }) });
    await server.push({ schema: schemaModule });
    server.setSchema({ t: strings("f") });
    const { finished } = await server.push({ schema: schemaModule });
    const { removed_indexes } = finished.componentDiffs[""]!.indexDiff;
    assert.deepEqual(removed_indexes.map(({ name, staged }) => [name, staged]), [["t.a", true]]);
    filling.resolve();
    assert.deepEqual(server.indexes(), []);
  }));

Deno.test("semantics 7.2: a failed push leaves no staged index behind, and an index may be staged half filled", () =>
  withServer(async (server) => {
    const filling = Promise.withResolvers<void>();
    server.fillingMayGoOn = filling.promise;
    server.setSchema({ t: strings("f").index("a", ["f"]) });
    await server.pushes.startPush(startRequest({ schema: schemaModule }));
    server.setSchema({
      t: strings("f").index("a", { fields: ["f"], staged: true })
        .index("b", { fields: ["f", "g"], staged: true }),
    }, { schemaValidation: false });
    const started = await server.pushes.startPush(startRequest({ schema: schemaModule }));
    assert.deepEqual(server.indexes().map(({ name }) => name), ["a"]);
    assert.equal((await server.wait(started)).type, "complete");
    await server.finish(started);
    const states = () => server.indexes().map(({ name, state }) => [name, state]);
    assert.deepEqual(states(), [["a", "stagedBackfilling"], ["b", "stagedBackfilling"]]);
    filling.resolve();
    await new Promise((resolve) => setTimeout(resolve));
    assert.deepEqual(states(), [["a", "staged"], ["b", "staged"]]);
  }));

Deno.test("I6, deploy-protocol 13: a document that contradicts the schema fails the push", () =>
  withServer(async (server) => {
    await server.push();
    for (let i = 0; i < 450; i++) server.insert("t", { f: "x" });
    const id = server.insert("t", { g: "x" });
    server.setSchema({ t: strings("f") });
    const started = await server.pushes.startPush(startRequest({ schema: schemaModule }));
    const status = await server.wait(started);
    assert.ok(status.type === "failed", JSON.stringify(status));
    assert.equal(status.tableName, "t");
    assert.ok(
      status.error.startsWith(`Document with ID "${id}" in table "t" does not match the schema: `),
    );
    await assertRefused(server.finish(started), "SchemaAlreadyFailed", /does not match the schema/);
    assert.equal(server.catalog.activeSchema, null);
    assert.equal(server.manifests.length, 1);

    server.setSchema({ t: strings("f") }, { schemaValidation: false });
    await server.push({ schema: schemaModule });
    assert.equal(server.catalog.activeSchema!.schemaValidation, false);
  }));

Deno.test("semantics 7.3: a write that contradicts the pending schema fails the push, not the write", () =>
  withServer(async (server) => {
    server.setSchema({ t: strings("f") });
    const started = await server.pushes.startPush(startRequest({ schema: schemaModule }));
    assert.equal((await server.wait(started)).type, "complete");
    const text = `New document in table "t" does not match the schema: no`;
    server.insert("t", { g: "x" }, text);
    assert.deepEqual(await server.wait(started), {
      type: "failed",
      componentPath: "",
      error: text,
      tableName: "t",
    });
    await assertRefused(server.finish(started), "SchemaAlreadyFailed", /New document/);
  }));

Deno.test("deploy-protocol 16: variables that change during a push are a race", () =>
  withServer(async (server) => {
    const started = await server.pushes.startPush(startRequest({}));
    server.live.setVariables({ A: "1" });
    await assertRefused(
      server.finish(started),
      "RaceDetected",
      /^Environment variables have changed during push$/,
    );
  }));

Deno.test("I6, deploy-protocol 17: of two pushes at a time one wins whole", () =>
  withServer(async (server) => {
    const first = await server.pushes.startPush(startRequest({}));
    const second = await server.pushes.startPush(
      startRequest({ changed: [{ ...aModule, path: "b.js" }] }),
    );
    await server.finish(first);
    await assertRefused(server.finish(second), "RaceDetected", /Another push has finished/);
    assert.deepEqual(server.manifests.at(-1)!.modules.map((module) => module.path), ["a.js"]);
    await assertRefused(server.finish(first), "RaceDetected", /Another push has finished/);
  }));

Deno.test("semantics 7.2: what a push has begun that nobody finishes is taken back", () =>
  withServer(async (server) => {
    await server.push();
    const before = server.catalog;
    server.setSchema({ t: strings("f").index("a", ["f"]) });
    const started = await server.pushes.startPush(startRequest({
      schema: schemaModule,
      changed: [{ ...aModule, source: "export const other = 1;" }],
    }));
    assert.equal((await server.wait(started)).type, "complete");
    const timers = [...server.longTimers];
    server.longTimers.clear();
    timers.forEach((callback) => callback());
    await server.live.exclusively(async () => {});
    assert.deepEqual(server.indexes(), before.indexes);
    assert.equal(server.catalog.pendingSchema, null);
    assert.deepEqual(await server.wait(started), { type: "raceDetected" });
    await assertRefused(server.finish(started), "RaceDetected", /left alone for too long/);
    await server.push({ schema: schemaModule });
    assert.equal(server.longTimers.size, 0, "nothing is left to be given up");
  }));

Deno.test("semantics 7.3: after a write that contradicted it, the same schema can be pushed again", () =>
  withServer(async (server) => {
    server.setSchema({ t: strings("f") });
    await server.pushes.startPush(startRequest({ schema: schemaModule }));
    server.insert("t", { f: "x" }, `New document in table "t" does not match the schema: no`);
    await server.push({ schema: schemaModule });
    assert.equal(server.catalog.activeSchema!.tables.length, 1);
  }));

Deno.test("semantics 7.3: what the enforced schema guarantees is not checked again", () =>
  withServer(async (server) => {
    server.setSchema({ t: strings("f") });
    await server.push({ schema: schemaModule });
    server.setSchema({ t: defineTable({ f: v.string(), g: v.optional(v.string()) }) });
    const started = await server.pushes.startPush(startRequest({ schema: schemaModule }));
    assert.equal(server.catalog.pendingSchema, null);
    assert.equal((await server.wait(started)).type, "complete");
    await server.finish(started);
    server.setSchema({ t: strings("f") });
    await server.pushes.startPush(startRequest({ schema: schemaModule }));
    assert.notEqual(server.catalog.pendingSchema, null);
  }));

Deno.test("deploy-protocol 3.7: a push with another schema overwrites the one on its way", () =>
  withServer(async (server) => {
    server.setSchema({ t: strings("f").index("a", ["f"]) });
    const first = await server.pushes.startPush(startRequest({ schema: schemaModule }));
    const again = await server.pushes.startPush(startRequest({ schema: schemaModule }));
    assert.deepEqual(first.schemaChange.schemaIds, again.schemaChange.schemaIds);
    server.setSchema({ t: strings("f", "g").index("b", ["g"]) });
    const second = await server.pushes.startPush(startRequest({ schema: schemaModule }));
    assert.deepEqual(await server.wait(first), { type: "raceDetected" });
    await assertRefused(server.finish(first), "RaceDetected", /overwritten/);
    assert.equal((await server.wait(second)).type, "complete");
    await server.finish(second);
    assert.deepEqual(server.indexes().map(({ name }) => name), ["b"]);
  }));

Deno.test("deploy-protocol 3.5: import-time seed and time stay while the version stays", () =>
  withServer(async (server) => {
    const { started } = await server.push();
    const again = (await server.push()).started;
    assert.deepEqual(again.analysis[""].udfConfig, started.analysis[""].udfConfig);
    const { started: other, finished } = await server.push({ version: "1.49.0" });
    assert.notDeepEqual(
      other.analysis[""].udfConfig.importPhaseRngSeed,
      started.analysis[""].udfConfig.importPhaseRngSeed,
    );
    assert.deepEqual(finished.componentDiffs[""]!.udfConfigDiff, {
      previous_version: "1.48.0",
      next_version: "1.49.0",
    });
  }));

Deno.test("deploy-protocol 20: variables that the app declares must be set when the push finishes", () =>
  withServer(async (server) => {
    const declare = (envVars: unknown) =>
      server.analysis["convex.config.js"] = {
        ...nothing,
        exported: JSON.stringify({ definitionType: { type: "app" }, envVars }),
      };
    const text = { type: "value", value: `{"type":"string"}` };
    const literal = { type: "value", value: `{"type":"literal","value":"x"}`, optional: true };
    declare([["A", text], ["B", literal], ["C", text]]);
    const push = async () => server.finish(await server.pushes.startPush(startRequest({})));
    await assertRefused(
      push(),
      "MissingEnvironmentVariables",
      /^Required environment variables are not set: A, C\. Set them/,
    );
    server.live.setVariables({ A: "1", B: "y", C: "2" });
    await assertRefused(push(), "InvalidEnvironmentVariable", /B/);
    server.live.setVariables({ A: "1", C: "2" });
    await push();
    assert.deepEqual(server.live.record!.declaredVariables!.map(([name]) => name), ["A", "B", "C"]);
    declare([["A", { type: "value", value: `{"type":"number"}` }]]);
    await assertRefused(push(), "InvalidEnvVarDeclaration", /`A`/);
  }));

Deno.test("PushService recover() removes what an unfinished push left behind", () =>
  withServer(async (server) => {
    await server.push();
    server.setSchema({ t: strings("f").index("a", ["f"]) });
    await server.pushes.startPush(startRequest({
      schema: schemaModule,
      changed: [{ ...aModule, source: "export const other = 1;" }],
    }));
    assert.notEqual(server.catalog.pendingSchema, null);
    server.pushes.close();
    await server.startPushService().recover();
    assert.equal(server.catalog.pendingSchema, null);
    assert.deepEqual(server.indexes(), []);
    const files = await Array.fromAsync(Deno.readDir(`${server.dataFolder}/modules`));
    assert.equal(files.length, 2);
  }));
