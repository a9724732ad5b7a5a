/** The handlers of all API paths, of which the code that administrators need is loaded when they call. */
import type { CommitterClient } from "../committer/protocol.ts";
import type { DeploymentSettings } from "../deploy/deployment_settings.ts";
import type { LazyPushService } from "../deploy/lazy_push_service.ts";
import type { LiveDeployment } from "../deploy/live_deployment.ts";
import type { Environment } from "../environment.ts";
import type { FileStorage } from "../file_storage/file_storage.ts";
import type { FunctionRunner } from "../functions/runner.ts";
import { functionApi, type FunctionApiOptions } from "../http/function_api.ts";
import { healthApi, type HealthOptions } from "../http/health_api.ts";
import { lazyApi } from "../http/lazy_api.ts";
import { logApi } from "../http/log_api.ts";
import type { ApiHandlers } from "../http/routes.ts";
import { serviceApi } from "../http/service_api.ts";
import { storageApi } from "../http/storage_api.ts";
import { syncApi } from "../http/sync_api.ts";
import type { Isolates } from "../isolate/isolates.ts";
import type { LogStore } from "../logs/log_store.ts";
import type { RemovalHold } from "../persistence/removal_hold.ts";
import type { ScheduledFunctions } from "../scheduler/scheduled_functions.ts";
import type { LazySnapshots } from "../snapshots/lazy_snapshots.ts";
import type { SyncServer } from "../sync/sync_server.ts";
import { once } from "./once.ts";

export interface ApiParts {
  readonly options: FunctionApiOptions & Pick<HealthOptions, "metricsToken"> & {
    readonly version: string;
  };
  readonly environment: Environment;
  readonly dataFolder: string;
  readonly fileStorageSecret: string;
  readonly notReady: HealthOptions["notReady"];
  readonly metrics: { render(): string };
  readonly isolates: Isolates;
  readonly committer: Pick<CommitterClient, "durable">;
  readonly functions: FunctionRunner;
  readonly sockets: SyncServer;
  readonly files: FileStorage;
  readonly logs: LogStore;
  readonly settings: DeploymentSettings;
  readonly scheduler: ScheduledFunctions;
  readonly push: LazyPushService;
  readonly live: LiveDeployment;
  readonly removals: RemovalHold;
  readonly snapshots: LazySnapshots;
  /** Aborted when the server begins to stop. */
  readonly stopping: AbortSignal;
}

export function apiRoutes(parts: ApiParts): ApiHandlers {
  const { options, environment, dataFolder, removals } = parts;
  const loadAdminApi = once(async () =>
    (await import("../http/admin_api.ts")).adminApi(parts.settings)
  );
  const loadJobApi = once(async () => (await import("../http/job_api.ts")).jobApi(parts.scheduler));
  const loadDeployApi = once(async () =>
    (await import("../http/deploy_api.ts")).deployApi(await parts.push.load())
  );
  const loadTestFunctionApi = once(async () => {
    const { InlineQueries } = await import("../deploy/inline_queries.ts");
    const { testFunctionApi } = await import("../http/test_function_api.ts");
    return testFunctionApi(
      new InlineQueries({
        dataFolder,
        live: parts.live,
        isolates: parts.isolates,
        environment,
        removals,
        run: (...call) => parts.functions.queryBeside(...call),
      }),
    );
  });
  const loadBackupApi = once(async () => {
    const { LiveBackups } = await import("../maintenance/backup.ts");
    const { backupApi } = await import("../http/backup_api.ts");
    const backups = new LiveBackups({
      dataFolder,
      version: options.version,
      removals,
      durable: (timestamp) => parts.committer.durable(timestamp),
    });
    return backupApi(backups, environment);
  });
  const loadExportApi = once(async () =>
    (await import("../http/export_api.ts")).exportApi(await parts.snapshots.exports())
  );
  const loadImportApi = once(async () =>
    (await import("../http/import_api.ts")).importApi(await parts.snapshots.imports())
  );
  return {
    ...functionApi(parts.functions, options),
    ...syncApi(parts.sockets),
    ...storageApi(parts.files, { secret: parts.fileStorageSecret, environment }),
    ...logApi(parts.logs, environment, parts.stopping),
    ...healthApi({
      notReady: parts.notReady,
      metrics: () => parts.metrics.render(),
      ...options.metricsToken !== undefined && { metricsToken: options.metricsToken },
    }),
    ...serviceApi(options.version),
    ...lazyApi([
      "checkAdminKey",
      "canonicalUrls",
      "updateCanonicalUrl",
      "updateEnvironmentVariables",
      "listEnvironmentVariables",
    ], loadAdminApi),
    ...lazyApi(["cancelJob", "cancelAllJobs"], loadJobApi),
    ...lazyApi(["downloadBackup"], loadBackupApi),
    ...lazyApi([
      "requestExport",
      "downloadExport",
      "cancelExport",
      "setExportExpiration",
    ], loadExportApi),
    ...lazyApi(["runTestFunction"], loadTestFunctionApi),
    ...lazyApi([
      "startUpload",
      "uploadPart",
      "finishUpload",
      "performImport",
      "cancelImport",
      "importNow",
    ], loadImportApi),
    ...lazyApi([
      "configHashes",
      "startPush",
      "evaluatePush",
      "evaluateSchema",
      "waitForSchema",
      "finishPush",
      "deleteComponent",
      "reportPushCompleted",
      "refuseOldPush",
    ], loadDeployApi),
  };
}
