/**
 * The server's side of a push (deploy-protocol 3):
 *
 * 1. `start_push` stores the modules, analyses them, and begins to check documents against the new schema and
 *    to fill new indexes, while the old code still runs.
 * 2. `wait_for_schema` tells how far that is.
 * 3. `finish_push` switches code, schema, indexes and cron jobs in one commit.
 *
 * What a push that fails or is given up leaves behind (files that nobody refers to, indexes that nobody
 * reads) is removed by the next push, by `recover`, or when nothing has been heard of the push for a while.
 */
import { basename, dirname } from "node:path";
import type { Config } from "../config.ts";
import { appComponent, type Component, type ComponentId } from "../database/component.ts";
import { type CronDefinition, replaceCronJobs } from "../database/cron_jobs.ts";
import { RequestError } from "../errors.ts";
import type { Isolates } from "../isolate/isolates.ts";
import type { DeploymentManifest } from "../isolate/protocol.ts";
import { log } from "../logger.ts";
import type { CatalogChange } from "../persistence/persistence.ts";
import type { RemovalHold } from "../persistence/removal_hold.ts";
import type { ServerTransactions } from "../persistence/server_transactions.ts";
import { appDefinitionPath } from "./component_definition.ts";
import { cronDefinitionsOf } from "./cron_definitions.ts";
import { checkVariables } from "./declared_variables.ts";
import { type DeploymentRecord, modulesOf, recordKeys } from "./deployment.ts";
import { ExternalPackageStore } from "./external_packages.ts";
import { dryRunResponse, finishPushResponse } from "./finish_push_response.ts";
import { type IndexDiff } from "./index_plan.ts";
import type { LiveDeployment } from "./live_deployment.ts";
import { ModuleStore } from "./module_store.ts";
import { deleteComponent } from "./component_deletion.ts";
import type { DeclaredSchema, PendingSchema, SchemaStatus } from "./pending_schema.ts";
import { type AnalyzedPush, PushAnalyzer } from "./push_analyzer.ts";
import {
  parseDeleteComponent,
  parseFinishPush,
  parseStartPush,
  parseWaitForSchema,
} from "./push_request.ts";
import { schemaEvaluationResponse } from "./schema_evaluation.ts";
import { raceDetected, SchemaRollout, type SchemaRolloutOptions } from "./schema_rollout.ts";
import { schemaChangeResponse, startPushResponse } from "./start_push_response.ts";

/** `DeploymentLeases` of src/functions/ is the implementation. */
export interface DeploymentsInUse {
  /** The live one, and those whose calls have not ended. */
  readonly inUse: readonly DeploymentManifest[];
  /** Called when one has ceased to be in use. */
  onRetired: () => void;
  /** Loads what is going to be the live one, so that the first calls of it are not slow. */
  prepare(manifest: DeploymentManifest): Promise<void>;
  /** Gives up what was prepared. */
  discard(manifest: DeploymentManifest): void;
}

export interface PushServiceOptions extends SchemaRolloutOptions {
  readonly isolates: Isolates;
  readonly live: LiveDeployment;
  readonly config: Config;
  readonly deployments: DeploymentsInUse;
  readonly dataFolder: string;
  readonly removals: RemovalHold;
  readonly transactions: ServerTransactions;
}

/** A push between `start_push` and `finish_push`. */
interface OpenPush extends AnalyzedPush {
  readonly indexDiffs: Readonly<Record<string, IndexDiff>>;
  readonly schema: PendingSchema;
  /** Id of the deployment it is to replace. */
  readonly replaces: string | undefined;
}

/** Pushes that may be open at a time; one more makes the server forget the oldest. */
const openPushesMax = 4;

/** Jobs that keep running in between are rare: each attempt takes about a millisecond. */
const switchAttemptsMax = 20;

/**
 * How long a push may stay silent before it counts as given up, in milliseconds. Between the steps of a push the
 * official CLI generates code and checks types, which takes minutes in large projects.
 */
const silenceMaxMs = 10 * 60_000;

/** How long files stay that nobody needs any more, in milliseconds: several deployments may end together. */
const collectionDelayMs = 1000;

export class PushService {
  readonly #options: PushServiceOptions;
  readonly #store: ModuleStore;
  readonly #packages: ExternalPackageStore;
  readonly #analyzer: PushAnalyzer;
  readonly #schemas: SchemaRollout;
  readonly #open = new Map<string, OpenPush>();
  /** Null when nothing is to be collected. */
  #cancelCollection: (() => void) | null = null;
  #cancelAbandonment: () => void = () => {};

  constructor(options: PushServiceOptions) {
    this.#options = options;
    this.#store = new ModuleStore(options.dataFolder);
    this.#packages = new ExternalPackageStore(options.dataFolder, options.environment);
    const [store, packages] = [this.#store, this.#packages];
    const knownComponents = () => this.#knownComponents();
    this.#analyzer = new PushAnalyzer({ ...options, store, packages, knownComponents });
    this.#schemas = new SchemaRollout(options);
    options.deployments.onRetired = () => this.#collectFilesLater();
  }

  /** Tidies up after an earlier run of the server. */
  async recover(): Promise<void> {
    await this.#options.live.exclusively(async () => {
      await this.#schemas.recover();
      await this.#collectFiles();
    });
    this.#restorePackages();
  }

  close(): void {
    this.#cancelCollection?.();
    this.#cancelAbandonment();
    this.#schemas.close();
    this.#packages.close();
  }

  getConfigHashes() {
    const live = this.#options.live.record;
    return {
      config: { functions: "convex/" },
      moduleHashes: (live?.modules ?? [])
        .map(({ path, hash, environment }) => ({ path, hash, environment })),
      udfServerVersion: live?.udfConfig.serverVersion ?? null,
      // Absent when the app names none: the official CLI takes null for a version that is about to change.
      nodeVersion: live?.nodeVersion ?? undefined,
      nodeDependencies: live?.externalPackages?.dependencies ?? [],
    };
  }

  async startPush(body: unknown) {
    const request = parseStartPush(body);
    return await this.#options.live.exclusively(async () => {
      const push = await this.#analyzer.analyze(request);
      const indexDiffs = this.#indexDiffs(push);
      const isTrial = request.dryRun || request.forCodegen;
      const schemaId = isTrial ? null : await this.#begin(push, indexDiffs);
      return startPushResponse(push, { schemaId, indexDiffs });
    });
  }

  /** What `startPush` would do to the schema, without doing it. */
  async evaluatePush(body: unknown) {
    const request = parseStartPush(body);
    return await this.#options.live.exclusively(async () => {
      const push = await this.#analyzer.analyze(request);
      const indexDiffs = this.#indexDiffs(push);
      return { schemaChange: schemaChangeResponse(push, { schemaId: null, indexDiffs }) };
    });
  }

  /** What `startPush` would mean for documents and indexes, from the schema alone. */
  async evaluateSchema(body: unknown) {
    const request = parseStartPush(body);
    return await this.#options.live.exclusively(async () => {
      const schemas = await this.#analyzer.analyzeSchemas(request);
      const app = { id: appComponent, path: "", definition: appDefinitionPath };
      const components = (this.#options.live.record?.components ?? [])
        .filter(({ definition }) => schemas.has(definition));
      return schemaEvaluationResponse([app, ...components].map(({ id, path, definition }) => {
        const schema = schemas.get(definition) ?? null;
        return {
          ...{ path, definition },
          schemaValidation: schema?.schemaValidation ?? false,
          plan: this.#schemas.plan(schema, id),
          countDocuments: (table) => this.#schemas.countDocuments(table, id),
        };
      }));
    });
  }

  async waitForSchema(body: unknown): Promise<SchemaStatus> {
    const { schemaChange, timeoutMs, dryRun } = parseWaitForSchema(body);
    const id = schemaChange.schemaIds[""];
    if (dryRun || id == null) return { type: "complete" };
    this.#abandonUnlessContinued();
    return await this.#schemas.wait(id, timeoutMs);
  }

  async finishPush(body: unknown) {
    const { startPush, dryRun } = parseFinishPush(body);
    return await this.#options.live.exclusively(async () => {
      const { live } = this.#options;
      const previous = live.record;
      if (dryRun) return dryRunResponse;
      const push = this.#open.get(startPush.componentDefinitionPackages[""].pushId);
      if (push === undefined || push.replaces !== previous?.id) {
        throw raceDetected(
          "Another push has finished since this one started, or this one was left alone for too long.",
        );
      }
      const { builtInVariables = {} } = push.record;
      if (
        !isSameObject(live.variables, startPush.environmentVariables) ||
        !isSameObject(live.builtInVariables, builtInVariables)
      ) {
        throw raceDetected("Environment variables have changed during push");
      }
      checkVariables(
        push.analysis.definitions.get(appDefinitionPath)!.variables,
        live.variables,
      );
      const change = {
        ...this.#schemas.finish(push.schema, {
          schemas: declaredSchemas(push),
          components: push.record.components ?? [],
        }),
        records: [{ key: recordKeys.deployment, json: JSON.stringify(push.record) }],
      };
      const known = this.#knownComponents();
      await this.#switch(change, push.record);
      this.#schemas.finished();
      this.#cancelAbandonment();
      this.#open.clear();
      this.#collectFilesLater();
      return finishPushResponse({
        previous,
        next: push.record,
        indexDiffs: push.indexDiffs,
        isKnown: (component) => known.some(({ id }) => id === component),
      });
    });
  }

  /** Removes a component that nobody uses any more, with its data (components 5). */
  async deleteComponent(body: unknown): Promise<void> {
    const { componentId } = parseDeleteComponent(body);
    await this.#options.live.exclusively(() =>
      deleteComponent(this.#options, componentId as ComponentId)
    );
  }

  /** In the background: the packages of a restored backup may take a while, and only Node actions need them. */
  async #restorePackages(): Promise<void> {
    const { record } = this.#options.live;
    if (!record?.externalPackages || await this.#packages.has(record.externalPackages)) return;
    log("info", "Installing the external packages of Node actions");
    try {
      await this.#packages.restore(record.externalPackages, record.nodeVersion);
      log("info", "Installed the external packages of Node actions");
    } catch (error) {
      log("error", "Node actions cannot run until the app is deployed again", { error });
    }
  }

  /** One commit with the deployment and its cron jobs, repeated when a job that ran meanwhile is in the way. */
  async #switch(change: CatalogChange, record: DeploymentRecord): Promise<void> {
    const { live, deployments } = this.#options;
    const manifest = live.nextManifest(record);
    await deployments.prepare(manifest);
    try {
      await this.#commit(change, record, manifest);
    } catch (error) {
      deployments.discard(manifest);
      throw error;
    }
  }

  async #commit(
    change: CatalogChange,
    record: DeploymentRecord,
    manifest: DeploymentManifest,
  ): Promise<void> {
    const { live, committer, transactions } = this.#options;
    const cronJobs = this.#cronDefinitions(record);
    for (let attempt = 1;; attempt++) {
      const { request } = transactions.prepare((transaction) => {
        for (const [component, definitions] of cronJobs) {
          replaceCronJobs(transaction.ofComponent(component), definitions);
        }
      }, change);
      try {
        // At once: the code before may need an index that is gone. What new code answers waits until all this is durable.
        await live.switchTo(
          record,
          manifest,
          (onVisible) => committer.changeCatalog(change, onVisible, request),
        );
        return;
      } catch (error) {
        const isConflict = error instanceof RequestError && error.kind === "writeConflict";
        if (!isConflict || attempt === switchAttemptsMax) throw error;
      }
    }
  }

  #knownComponents(): readonly Pick<Component, "id" | "parent" | "name">[] {
    const snapshot = this.#options.reader.open();
    try {
      return snapshot.catalog.data.components ?? this.#options.live.record?.components ?? [];
    } finally {
      snapshot.close();
    }
  }

  /** By component, those that the app stops using included: they have none from now on. */
  #cronDefinitions(record: DeploymentRecord): Map<ComponentId, CronDefinition[]> {
    const unused = this.#knownComponents().map((
      { id },
    ): [ComponentId, CronDefinition[]] => [id, []]);
    return new Map([...unused, ...cronDefinitionsOf(record)]);
  }

  /** By path of the component. */
  #indexDiffs(push: AnalyzedPush): Record<string, IndexDiff> {
    const diffs = declaredSchemas(push).map(({ path, component, schema }) =>
      [path, this.#schemas.plan(schema?.parsed ?? null, component).diff] as const
    );
    return Object.fromEntries(diffs);
  }

  /** Resolves with the id of its schemas, null without any. */
  async #begin(
    push: AnalyzedPush,
    indexDiffs: OpenPush["indexDiffs"],
  ): Promise<string | null> {
    const schemas = declaredSchemas(push);
    const schema = await this.#schemas.begin(schemas);
    const [oldest] = this.#open.keys();
    if (oldest !== undefined && this.#open.size >= openPushesMax) this.#open.delete(oldest);
    this.#open.set(push.id, {
      ...push,
      indexDiffs,
      schema,
      replaces: this.#options.live.record?.id,
    });
    this.#abandonUnlessContinued();
    return schemas.every(({ schema }) => schema === null) ? null : schema.id;
  }

  /** Takes back all open pushes if there is no next step of any for too long: the CLI may have been stopped. */
  #abandonUnlessContinued(): void {
    const { environment, live } = this.#options;
    this.#cancelAbandonment();
    const cancel = environment.setTimer(silenceMaxMs, () => {
      live.exclusively(async () => {
        const wasContinued = this.#cancelAbandonment !== cancel;
        if (wasContinued) return;
        this.#open.clear();
        await this.#schemas.abandon();
        await this.#collectFiles();
      }).catch((error) => log("warn", "What a push left behind could not be removed", { error }));
    });
    this.#cancelAbandonment = cancel;
  }

  /** Deletes the files of deployments that no call runs on any more. */
  #collectFilesLater(): void {
    if (this.#cancelCollection !== null) return;
    const { environment, live } = this.#options;
    this.#cancelCollection = environment.setTimer(collectionDelayMs, () => {
      this.#cancelCollection = null;
      live.exclusively(() => this.#collectFiles()).catch((error) =>
        log("warn", "Files of old deployments could not be deleted", { error })
      );
    });
  }

  async #collectFiles(): Promise<void> {
    const { deployments, live, removals } = this.#options;
    if (removals.isHeld) return this.#collectFilesLater();
    const records = [live.record, ...[...this.#open.values()].map((push) => push.record)];
    const modules = records.flatMap((record) => record === null ? [] : modulesOf(record));
    const needed = new Set([
      ...modules.flatMap(({ file, sourceFile }) => [file, sourceFile]),
      ...deployments.inUse.flatMap(moduleFilesOf),
    ]);
    await this.#store.collect((file) => needed.has(file));
    const packages = new Set([
      ...records.map((record) => record?.externalPackages?.key),
      ...deployments.inUse.map(packagesKeyOf),
    ]);
    await this.#packages.collect((key) => packages.has(key));
  }
}

function moduleFilesOf({ modules, components = [] }: DeploymentManifest): string[] {
  const all = [...modules, ...components.flatMap((component) => component.modules)];
  return all.map(({ file }) => basename(file));
}

function packagesKeyOf({ nodePackages }: DeploymentManifest): string | undefined {
  return nodePackages == null ? undefined : basename(dirname(nodePackages));
}

/** The schemas of the app and of all components of a push. */
function declaredSchemas({ analysis, componentCode, record }: AnalyzedPush): DeclaredSchema[] {
  return [
    { component: appComponent, path: "", schema: analysis.schema },
    ...(record.components ?? []).map(({ id, path, definition }) => ({
      component: id,
      path,
      schema: componentCode.get(definition)!.schema,
    })),
  ];
}

function isSameObject(
  a: Readonly<Record<string, string>>,
  b: Readonly<Record<string, string>>,
): boolean {
  const sorted = (object: object) => JSON.stringify(Object.entries(object).sort());
  return sorted(a) === sorted(b);
}
