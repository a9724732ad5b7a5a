/**
 * The composition root: builds every part of a server, connects them, starts and stops them.
 *
 *   1. The data folder is locked and its database opened; isolates start.
 *   2. The listeners open. Requests wait for 3, because functions must know the URL of the server.
 *   3. What was deployed is made live again, and requests are served.
 *   4. What an earlier run left unfinished is tidied up, and due jobs start.
 *
 * It stops in the other direction: nothing new begins, what runs has a while to end, the rest is cut off.
 */
import { resolve } from "node:path";
import { instanceNameOf } from "./auth/admin_key.ts";
import { Authenticator } from "./auth/authenticate.ts";
import { anonymous } from "./auth/identity.ts";
import { documentFetcher } from "./auth/provider_document.ts";
import { TokenVerifier } from "./auth/token_verifier.ts";
import { startCommitter } from "./committer/client.ts";
import type { CommitterClient } from "./committer/protocol.ts";
import type { Config } from "./config.ts";
import { DeploymentSettings } from "./deploy/deployment_settings.ts";
import { LazyPushService } from "./deploy/lazy_push_service.ts";
import { LiveDeployment } from "./deploy/live_deployment.ts";
import { StoredVariables } from "./deploy/stored_variables.ts";
import { type Environment, systemEnvironment } from "./environment.ts";
import { errorMessage, RequestError } from "./errors.ts";
import { FileStorage } from "./file_storage/file_storage.ts";
import { FileStore } from "./file_storage/file_store.ts";
import { RequestIds } from "./functions/request_id.ts";
import { createFunctions } from "./functions/runner.ts";
import { ClientAddresses } from "./http/client_address.ts";
import { ClientLimits } from "./http/client_limits.ts";
import { watchConnections } from "./http/connection_watch.ts";
import { type Fallback, HttpActions } from "./http/http_actions.ts";
import { type GatedListener, listenGated } from "./http/gated_listener.ts";
import { BodyReader } from "./http/request_body.ts";
import { apiAndApp, appOnly } from "./http/request_handler.ts";
import { errorResponse } from "./http/responses.ts";
import { RouteTable } from "./http/routes.ts";
import type { Isolates } from "./isolate/isolates.ts";
import { startIsolates } from "./isolate/start_isolates.ts";
import { log } from "./logger.ts";
import { LogBudgets } from "./logs/log_budgets.ts";
import { LogFiles } from "./logs/log_files.ts";
import { LogStore } from "./logs/log_store.ts";
import { openFiles, openFilesMax } from "./metrics/open_files.ts";
import { addServerGauges } from "./metrics/server_gauges.ts";
import { ServerMetrics } from "./metrics/server_metrics.ts";
import { databaseBytes, databasePath } from "./persistence/data_folder.ts";
import type { SnapshotReader } from "./persistence/persistence.ts";
import { RemovalHold } from "./persistence/removal_hold.ts";
import { ServerTransactions } from "./persistence/server_transactions.ts";
import { openSnapshotReader } from "./persistence/snapshot_reader.ts";
import { apiRoutes } from "./server/api_routes.ts";
import { importedFiles } from "./server/file_services.ts";
import { hostServices } from "./server/host_services.ts";
import { once } from "./server/once.ts";
import {
  chooseAdminKey,
  defaultInstanceName,
  encryptionKeys,
  loadFileStorageSecret,
} from "./server/secrets.ts";
import { testingRoutes } from "./server/testing_routes.ts";
import { CronJobs } from "./scheduler/cron_jobs.ts";
import { ScheduledFunctions } from "./scheduler/scheduled_functions.ts";
import { LazySnapshots } from "./snapshots/lazy_snapshots.ts";
import { createSystemQueries } from "./system_functions/system_queries.ts";
import type { VerifyCredential } from "./sync/socket_identity.ts";
import { SyncServer } from "./sync/sync_server.ts";
import type { TestClock } from "./testing/test_clock.ts";
import { VectorSearch } from "./vector_search/vector_search.ts";

export interface ServerOptions {
  /** Created if there is none. */
  readonly dataFolder: string;
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Of a second listener for HTTP actions alone. */
  readonly sitePort?: number;
  readonly config: Config;
  /** Hide log lines and the details of errors from everybody but admins. */
  readonly redact: boolean;
  /** What `/version` answers. */
  readonly version: string;
  /** Opens `/metrics` beside the admin key. */
  readonly metricsToken?: string;
  /** Proxies that are believed whom they forward for, besides those on this machine: addresses or networks. */
  readonly trustedProxies?: readonly string[];
  /** In place of the one that was made with the data folder. */
  readonly adminKey?: string;
  /** Encrypts environment variables, in place of the key that is made with the data folder. */
  readonly encryptionKey?: string;
  /** Start without the environment variables if their key is lost. */
  readonly discardLostVariables?: boolean;
  /** Origins under which clients reach the API and the app, if those are not ours: behind a proxy. */
  readonly cloudOrigin?: string;
  readonly siteOrigin?: string;
  /**
   * Makes it a test server: the time is this clock's, tests have endpoints of their own (src/testing/), and nothing
   * waits for the disk, which its data will never be read from again.
   */
  readonly testClock?: TestClock;
  /** Answers requests that the app has no route for, such as those for its page during development. */
  readonly fallback?: Fallback;
}

export interface RunningServer {
  /** Origin of the API and of the app. */
  readonly url: string;
  /** Origin of the app's HTTP actions: of the second listener, if there is one. */
  readonly siteUrl: string;
  readonly adminKey: string;
  readonly logs: LogStore;
  /** Resolves when the server can no longer keep its promises. Then it must be closed and its process ended. */
  readonly failed: Promise<Error>;
  close(): Promise<void>;
}

/** What everything else is built on; open until the stack it was opened on is disposed. */
interface Foundation {
  readonly options: ServerOptions;
  readonly environment: Environment;
  /** Absolute. */
  readonly dataFolder: string;
  readonly committer: CommitterClient;
  readonly metrics: ServerMetrics;
  /** See `RunningServer.failed`. */
  readonly failed: Promise<Error>;
  readonly logFiles: LogFiles;
  /** Of this thread. */
  readonly reader: SnapshotReader;
  readonly vectorSearch: VectorSearch;
  readonly isolates: Isolates;
  readonly adminKey: string;
  readonly fileStorageSecret: string;
  readonly main: GatedListener;
  readonly site: GatedListener | undefined;
}

/** @throws Error that names cause and remedy when the data folder or a port cannot be used. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const environment = options.testClock ?? systemEnvironment;
  const addresses = new ClientAddresses(options.trustedProxies ?? []);
  const limits = new ClientLimits({ addresses, environment, config: options.config });
  await using resources = new AsyncDisposableStack();
  const foundation = await openFoundation(options, environment, resources);
  const parts = assemble(foundation);
  const { main, site, adminKey, failed } = foundation;

  parts.settings.load(foundation.reader);
  parts.live.load(foundation.reader, await parts.storedVariables.load(foundation.reader));
  // Whoever comes first has to meet the right providers. Should that fail, those of the last time stay.
  await parts.settings.refreshAuthConfig()
    .catch((error) => log("error", "auth.config.js could not be evaluated again", { error }));
  const { app } = parts;
  const { testClock: clock } = options;
  const routes = new RouteTable(
    apiRoutes({
      ...foundation,
      ...parts,
      notReady: () => notReady(foundation),
      stopping: parts.stopping.signal,
    }),
    clock && testingRoutes({ ...parts, clock }),
  );
  main.open(limits.around(apiAndApp(routes, app, parts.requestServices)));
  site?.open(limits.around(appOnly(app)));
  resources.defer(watchConnections({
    listeners: site === undefined ? [main] : [main, site],
    use: { openFiles, openFilesMax, residentBytes: () => Deno.memoryUsage().rss },
    environment,
    config: options.config,
  }));
  inBackground("run scheduled functions", parts.scheduler.start());
  inBackground("run cron jobs", parts.cronJobs.start());
  inBackground("tidy up stored files", parts.files.recover());
  inBackground("tidy up after earlier pushes", parts.push.recover());
  inBackground("go on with exports and imports", parts.snapshots.recover());

  const held = resources.move();
  return {
    url: main.url,
    siteUrl: site?.url ?? main.url,
    adminKey,
    logs: parts.logs,
    failed,
    close: once(() => stop(foundation, parts, held)),
  };
}

/** Steps 1 and 2. */
async function openFoundation(
  options: ServerOptions,
  environment: Environment,
  resources: AsyncDisposableStack,
): Promise<Foundation> {
  const { config, hostname, port, sitePort } = options;
  const dataFolder = resolve(options.dataFolder);
  const metrics = new ServerMetrics();
  const database = databasePath(dataFolder);
  const opening = startCommitter(dataFolder, {
    historyS: config.historyS,
    flushes: options.testClock === undefined,
    onTimed: (what, durationMs) =>
      (what === "sync" ? metrics.syncs : metrics.groups).observeMs(durationMs),
  });
  const starting = startIsolates({
    ...{ config, environment, dataFolder },
    databasePath: database,
    databaseOpened: opening,
  });
  // Whether they started is learnt below; here only those that did have to be ended.
  const started = starting.catch(() => undefined);
  resources.defer(async () => void await started);
  const committer = await opening;
  resources.defer(() => committer.close());
  const failed = new Promise<Error>((resolve) => committer.onFatal(resolve));
  const reader = openSnapshotReader(database);
  resources.defer(() => reader.close());
  const vectorSearch = new VectorSearch({
    reader,
    databasePath: database,
    bytesMax: config.vectorMemoryMiB * 1024 * 1024,
  });
  resources.defer(() => vectorSearch.close());
  const logFiles = await LogFiles.open({
    dataFolder,
    environment,
    bytesMax: config.logMiB * 1024 * 1024,
    ageMaxMs: config.logAgeMaxH * 3_600_000,
  });
  resources.defer(() => logFiles.close());
  resources.defer(async () => await (await started)?.close());
  const adminKey = chooseAdminKey(environment, dataFolder, options.adminKey);
  const fileStorageSecret = await loadFileStorageSecret(environment, reader, committer);
  const openListener = (port: number) => {
    const listener = listenGated(hostname, port);
    resources.defer(() => listener.abort());
    return listener;
  };
  const main = openListener(port);
  const site = sitePort === undefined ? undefined : openListener(sitePort);
  return {
    options,
    environment,
    dataFolder,
    committer,
    metrics,
    failed,
    logFiles,
    reader,
    vectorSearch,
    isolates: await starting,
    adminKey,
    fileStorageSecret,
    main,
    site,
  };
}

type Parts = ReturnType<typeof assemble>;

/** Everything between the database and the listeners. */
function assemble(foundation: Foundation) {
  const { options, environment, dataFolder, committer, reader, isolates, main, site } = foundation;
  const { fileStorageSecret, adminKey, metrics, logFiles } = foundation;
  const { config, redact } = options;
  const requestIds = new RequestIds(environment);
  const transactions = new ServerTransactions({ committer, reader, environment, config });
  const budgets = new LogBudgets(environment, config.logFunctionKiBPerS * 1024);
  const logs = new LogStore(environment, { files: logFiles, budgets });
  const fetchDocument = documentFetcher({
    environment,
    // An app may be its own identity provider. It is asked without the network, which may not lead back here.
    askOwnApp: (url, headers) => askApp(app, settings.urls.site, url, headers),
  });
  const tokens = new TokenVerifier({ environment, fetchDocument, redact });
  const authenticator = new Authenticator(adminKey, tokens);
  const bodies = new BodyReader(config, environment);
  const removals = new RemovalHold();

  const functions = createFunctions({
    environment,
    config,
    isolates,
    committer,
    sessions: reader,
    // Actions, which need these, run when all of them are there.
    services: hostServices({
      vectorSearch: foundation.vectorSearch,
      reader,
      scheduler: () => scheduler,
      files: () => files,
    }),
    systemQueries: createSystemQueries({
      transactions,
      environmentVariables: () => live.variables,
      urls: () => settings.urls,
      deployedModules: () => live.record?.analysis ?? {},
      deployedComponents: () => live.record?.components ?? [],
    }),
    logs,
    metrics,
  });
  const live: LiveDeployment = new LiveDeployment({
    dataFolder,
    fileStorageSecret,
    builtInVariables: () => settings.builtInVariables,
    use(record, manifest, changed) {
      if (tokens.use(record.authProviders)) sockets.providersChanged();
      if (changed === undefined) functions.setDeployment(record, manifest);
      else functions.setVariables(manifest, changed);
    },
    onVariablesAlone: () => functions.endResults(),
  });
  const storedVariables = new StoredVariables({
    committer,
    environment,
    secrets: encryptionKeys(environment, dataFolder, options.encryptionKey),
    discardsLost: options.discardLostVariables ?? false,
  });
  const settings: DeploymentSettings = new DeploymentSettings({
    live,
    committer,
    storedVariables,
    defaultUrls: {
      cloud: options.cloudOrigin ?? main.url,
      site: options.siteOrigin ?? site?.url ?? options.cloudOrigin ?? main.url,
    },
    async evaluateAuthConfig(manifest) {
      const { analyzeAuthConfig } = await import("./deploy/analysis.ts");
      return await analyzeAuthConfig(isolates, manifest);
    },
  });
  const fileStore = new FileStore(dataFolder, environment);
  const files: FileStorage = new FileStorage({
    store: fileStore,
    transactions,
    committer,
    removals,
    environment,
    secret: fileStorageSecret,
    origin: () => settings.urls.cloud,
  });
  const jobParts = {
    transactions,
    committer,
    functions,
    modules: functions.modules,
    environment,
    requestIds,
    config,
  };
  const scheduler: ScheduledFunctions = new ScheduledFunctions(jobParts);
  const cronJobs = new CronJobs({ ...jobParts, live });
  const sockets = new SyncServer({
    functions,
    verify: verifyCredential(authenticator),
    environment,
    config,
    redact,
  });
  addServerGauges(metrics, {
    connectionCount: () => sockets.connectionCount,
    callCounts: () => isolates.callCounts(),
    databaseBytes: () => databaseBytes(dataFolder),
    processes: () => isolates.processes(),
  });
  const push = new LazyPushService({
    isolates,
    committer,
    reader,
    live,
    environment,
    config,
    deployments: functions.deployments,
    dataFolder,
    removals,
    transactions,
  });
  const instanceName = instanceNameOf(adminKey) ?? defaultInstanceName;
  const snapshots = new LazySnapshots({
    dataFolder,
    transactions,
    committer,
    removals,
    environment,
    fileStorageSecret,
    instanceName,
    openFile: (key) => fileStore.open(key),
    reader,
    files: importedFiles(fileStore, files, fileStorageSecret),
    endResults: () => functions.endResults(),
  });
  const requestServices = { authenticator, bodies, config, requestIds, instanceName };
  const { fallback } = options;
  const app: HttpActions = new HttpActions(functions, {
    ...requestServices,
    environment,
    redact,
    ...fallback && { fallback },
  });
  return {
    app,
    transactions,
    functions,
    live,
    storedVariables,
    settings,
    files,
    scheduler,
    cronJobs,
    sockets,
    push,
    removals,
    snapshots,
    logs,
    requestServices,
    /** Aborted when the server begins to stop. */
    stopping: new AbortController(),
  };
}

/** Why requests should go elsewhere; null when they can be served. */
function notReady({ reader }: Foundation): string | null {
  try {
    reader.open().close();
    return null;
  } catch (error) {
    return `The database cannot be read: ${errorMessage(error)}`;
  }
}

/** Ends what runs, within the time that the operator gives it. */
async function stop(
  { main, site, options, environment }: Foundation,
  { scheduler, cronJobs, sockets, push, snapshots, stopping }: Parts,
  resources: AsyncDisposableStack,
): Promise<void> {
  stopping.abort();
  main.open(refuse);
  site?.open(refuse);
  // Sockets first: the runtime breaks them when their listener ends.
  const ended = Promise.all([
    sockets.drain(),
    scheduler.close(),
    cronJobs.close(),
    push.close(),
    snapshots.close(),
  ])
    .then(() => Promise.all([main.drain(), site?.drain()]));
  const { promise: timeIsUp, resolve } = Promise.withResolvers<void>();
  const cancelTimer = environment.setTimer(options.config.shutdownTimeoutS * 1000, resolve);
  await Promise.race([ended, timeIsUp]);
  cancelTimer();
  sockets.close();
  await resources.disposeAsync();
}

/** Answers what comes while the server stops. */
function refuse(): Response {
  return errorResponse(
    new RequestError("overloaded", "ShuttingDown", "The server is stopping. Try again."),
  );
}

/** Undefined when the URL is not the app's. */
function askApp(app: HttpActions, origin: string, url: string, headers: Headers) {
  if (!url.startsWith(`${origin}/`)) return undefined;
  headers.set("x-forwarded-proto", new URL(origin).protocol.slice(0, -1));
  return app.handle(new Request(url, { headers }), url.slice(origin.length), "");
}

function verifyCredential(authenticator: Authenticator): VerifyCredential {
  return (credential) => {
    switch (credential.tokenType) {
      case "None":
        return anonymous;
      case "User":
        return authenticator.user(credential.value);
      case "Admin":
        authenticator.admin(credential.value);
        return { kind: "admin", impersonating: credential.impersonating };
    }
  };
}

function inBackground(task: string, work: Promise<unknown>): void {
  work.catch((error) => log("error", `The server could not ${task}`, { error }));
}
