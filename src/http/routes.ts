/**
 * The paths of the API, in one table. Every other path belongs to the app's HTTP actions, so a path
 * stands here only because a client, the command line or the dashboard calls it.
 *
 * In a path `*` is one segment, `**` is the rest, `*semver*` is a version number.
 */
import type { ApiRequest } from "./api_request.ts";

export type ApiHandler = (request: ApiRequest) => Response | Promise<Response>;

/** Handlers by method; `GET` answers `HEAD` too. */
export type Route = Readonly<Partial<Record<"GET" | "POST", ApiHandler>>>;

/** Everything that the API can do, by name. */
export type ApiHandlers = Readonly<
  Record<
    // Function calls (http-api 2)
    | "query"
    | "queryFromUrl"
    | "queryTimestamp"
    | "queryAtTimestamp"
    | "queryBatch"
    | "mutation"
    | "action"
    | "anyFunction"
    | "runFunction"
    // Live clients and files
    | "sync"
    | "uploadFile"
    | "downloadFile"
    // Administration (deploy-protocol 2–8)
    | "checkAdminKey"
    | "canonicalUrls"
    | "updateCanonicalUrl"
    | "updateEnvironmentVariables"
    | "listEnvironmentVariables"
    | "cancelJob"
    | "cancelAllJobs"
    | "streamFunctionLogs"
    | "streamExecutions"
    | "requestExport"
    | "downloadExport"
    | "cancelExport"
    | "setExportExpiration"
    | "runTestFunction"
    | "startUpload"
    | "uploadPart"
    | "finishUpload"
    | "performImport"
    | "cancelImport"
    | "importNow"
    | "configHashes"
    | "startPush"
    | "evaluatePush"
    | "evaluateSchema"
    | "waitForSchema"
    | "finishPush"
    | "deleteComponent"
    | "reportPushCompleted"
    | "refuseOldPush"
    // Operation of the server, Hull's own
    | "downloadBackup"
    | "healthz"
    | "readyz"
    | "metrics"
    // Service (http-api 3)
    | "version"
    | "instanceName"
    | "echo",
    ApiHandler
  >
>;

/** What only a test server can do. */
export type TestingHandlers = Readonly<
  Record<"testClock" | "moveTestClock" | "runScheduledFunctions" | "clearTestServer", ApiHandler>
>;

/** Finds the route of a path. */
export class RouteTable {
  readonly #exact = new Map<string, Route>();
  readonly #patterns: { readonly path: RegExp; readonly route: Route }[] = [];
  readonly #socket: Route;

  constructor(handlers: ApiHandlers, testing?: TestingHandlers) {
    this.#socket = { GET: handlers.sync, POST: handlers.sync };
    for (const [path, route] of [...routes(handlers), ...testing ? testingRoutes(testing) : []]) {
      if (path.includes("*")) this.#patterns.push({ path: patternOf(path), route });
      else this.#exact.set(path, route);
    }
  }

  /** Undefined: the path is the app's. */
  find(path: string): Route | undefined {
    const exact = this.#exact.get(path);
    if (exact !== undefined || !path.startsWith("/api/")) return exact;
    return this.#patterns.find((pattern) => pattern.path.test(path))?.route;
  }

  /** For requests for a WebSocket, which no HTTP action can give: what is no version is refused as one. */
  findSocket(path: string): Route | undefined {
    return anySyncPath.test(path) ? this.#socket : undefined;
  }
}

function routes(handlers: ApiHandlers): readonly (readonly [path: string, route: Route])[] {
  return [
    ["/api/query", { POST: handlers.query, GET: handlers.queryFromUrl }],
    ["/api/query_ts", { POST: handlers.queryTimestamp }],
    ["/api/query_at_ts", { POST: handlers.queryAtTimestamp }],
    ["/api/query_batch", { POST: handlers.queryBatch }],
    ["/api/mutation", { POST: handlers.mutation }],
    ["/api/action", { POST: handlers.action }],
    ["/api/function", { POST: handlers.anyFunction }],
    ["/api/run/**", { POST: handlers.runFunction }],

    // A socket is asked for with GET; that another method is wrong is for its handler to say.
    ["/api/sync", { GET: handlers.sync, POST: handlers.sync }],
    ["/api/*semver*/sync", { GET: handlers.sync, POST: handlers.sync }],
    ["/api/storage/upload", { POST: handlers.uploadFile }],
    ["/api/storage/*", { GET: handlers.downloadFile }],

    ["/api/check_admin_key", { GET: handlers.checkAdminKey }],
    ["/api/v1/get_canonical_urls", { GET: handlers.canonicalUrls }],
    ["/api/v1/update_canonical_url", { POST: handlers.updateCanonicalUrl }],
    ["/api/update_canonical_url", { POST: handlers.updateCanonicalUrl }],
    ["/api/v1/update_environment_variables", { POST: handlers.updateEnvironmentVariables }],
    ["/api/update_environment_variables", { POST: handlers.updateEnvironmentVariables }],
    ["/api/v1/list_environment_variables", { GET: handlers.listEnvironmentVariables }],
    ["/api/cancel_job", { POST: handlers.cancelJob }],
    ["/api/cancel_all_jobs", { POST: handlers.cancelAllJobs }],
    ["/api/stream_function_logs", { GET: handlers.streamFunctionLogs }],
    ["/api/stream_udf_execution", { GET: handlers.streamExecutions }],
    ["/api/app_metrics/stream_function_logs", { GET: handlers.streamFunctionLogs }],
    ["/api/app_metrics/stream_udf_execution", { GET: handlers.streamExecutions }],
    ["/api/export/request/zip", { POST: handlers.requestExport }],
    ["/api/export/zip/*", { GET: handlers.downloadExport }],
    ["/api/export/cancel/*", { POST: handlers.cancelExport }],
    ["/api/export/set_expiration/*", { POST: handlers.setExportExpiration }],
    ["/api/run_test_function", { POST: handlers.runTestFunction }],
    ["/api/import", { POST: handlers.importNow }],
    ["/api/import/start_upload", { POST: handlers.startUpload }],
    ["/api/import/upload_part", { POST: handlers.uploadPart }],
    ["/api/import/finish_upload", { POST: handlers.finishUpload }],
    ["/api/perform_import", { POST: handlers.performImport }],
    ["/api/cancel_import", { POST: handlers.cancelImport }],
    ["/api/get_config_hashes", { POST: handlers.configHashes }],
    ["/api/deploy2/start_push", { POST: handlers.startPush }],
    ["/api/deploy2/evaluate_push", { POST: handlers.evaluatePush }],
    ["/api/deploy2/evaluate_schema", { POST: handlers.evaluateSchema }],
    ["/api/deploy2/wait_for_schema", { POST: handlers.waitForSchema }],
    ["/api/deploy2/finish_push", { POST: handlers.finishPush }],
    ["/api/delete_component", { POST: handlers.deleteComponent }],
    ["/api/deploy2/report_push_completed", { POST: handlers.reportPushCompleted }],
    ["/api/prepare_schema", { POST: handlers.refuseOldPush }],
    ["/api/push_config", { POST: handlers.refuseOldPush }],

    ["/api/hull/backup", { GET: handlers.downloadBackup }],
    ["/healthz", { GET: handlers.healthz }],
    ["/readyz", { GET: handlers.readyz }],
    ["/metrics", { GET: handlers.metrics }],

    ["/version", { GET: handlers.version }],
    ["/instance_version", { GET: handlers.version }],
    ["/instance_name", { GET: handlers.instanceName }],
    ["/echo", { POST: handlers.echo }],
  ];
}

function testingRoutes(handlers: TestingHandlers): readonly (readonly [string, Route])[] {
  return [
    ["/api/hull/test/clock", { GET: handlers.testClock, POST: handlers.moveTestClock }],
    ["/api/hull/test/run_scheduled", { POST: handlers.runScheduledFunctions }],
    ["/api/hull/test/clear", { POST: handlers.clearTestServer }],
  ];
}

const anySyncPath = patternOf("/api/*/sync");

function patternOf(path: string): RegExp {
  const source = path
    .replaceAll("*semver*", String.raw`\d+\.\d+\.\d+[^/]*`)
    .replaceAll("**", ".+")
    .replaceAll(/(?<!\])\*/g, "[^/]+");
  return new RegExp(`^${source}$`);
}
