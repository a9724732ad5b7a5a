/** Endpoints that follow what functions do and print (deploy-protocol 8). */
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import { renderLogLines } from "../functions/log_lines.ts";
import { sessionRequestId } from "../functions/request_id.ts";
import type { FunctionKind, LogLine } from "../isolate/protocol.ts";
import type { CompletionEntry, LogEntry } from "../logs/log_entry.ts";
import type { LogPage, LogStore } from "../logs/log_store.ts";
import { type ApiRequest, badDeployKey } from "./api_request.ts";
import { json } from "./responses.ts";
import type { ApiHandlers } from "./routes.ts";

/** How long a poll waits for something to happen, in milliseconds. */
const pollMs = 60_000;

const kindNames: Record<FunctionKind, string> = {
  query: "Query",
  mutation: "Mutation",
  action: "Action",
  httpAction: "HttpAction",
};

/** `stopping` ends the polls that wait, so that they do not hold the server up. */
export function logApi(logs: LogStore, environment: Environment, stopping: AbortSignal) {
  function load(cursor: number, isImpatient: boolean): Promise<LogPage> {
    // Who begins wants what is still to come; waiting here would make it take the first entry for history.
    if (cursor === 0) return logs.newest();
    return isImpatient ? logs.after(cursor) : logs.waitAfter(cursor, pollMs, stopping);
  }

  /** `wait=false` is ours: it asks for what there is already. */
  async function poll(
    request: ApiRequest,
    isWanted: (entry: LogEntry) => boolean,
  ): Promise<Response> {
    await requireLogReader(request);
    const cursor = parseCursor(request.parameter("cursor"));
    const page = await load(cursor, request.parameter("wait") === "false");
    const isStructured = /^(npm-cli|dashboard)$/.test(request.client.name);
    const wantedId = clientRequestId(request);
    const entries = page.entries
      .filter((entry) => isWanted(entry) && (wantedId === undefined || isRoot(entry, wantedId)))
      .map((entry) => encode(entry, isStructured));
    return json({ entries, newCursor: page.cursor === 0 ? environment.nowMs() : page.cursor });
  }

  return {
    streamFunctionLogs: (request) => poll(request, () => true),
    streamExecutions: (request) => poll(request, ({ kind }) => kind === "completion"),
  } satisfies Partial<ApiHandlers>;
}

/** The CLI repeats a poll for ever unless it is answered with 403, so a wrong key is that here, too. */
async function requireLogReader(request: ApiRequest): Promise<void> {
  try {
    await request.requireAdmin();
  } catch (error) {
    if (!(error instanceof RequestError) || error.kind !== "unauthenticated") throw error;
    throw badDeployKey(request.services.instanceName);
  }
}

/** Whether it is of the execution that the client asked for, not of one which that one called. */
function isRoot({ requestId, parentExecutionId }: LogEntry, wantedId: string): boolean {
  return requestId === wantedId && parentExecutionId === undefined;
}

/** The request id of one call of one client session, when the poll is about that alone. */
function clientRequestId(request: ApiRequest): string | undefined {
  const sessionId = request.parameter("sessionId");
  const counter = request.parameter("clientRequestCounter");
  if (sessionId === null || counter === null) return undefined;
  return sessionRequestId(sessionId, Number(counter));
}

function parseCursor(text: string | null): number {
  const cursor = Number(text ?? 0);
  if (Number.isFinite(cursor)) return cursor;
  throw new RequestError("badRequest", "BadQueryArgs", "The query parameter `cursor` is no number");
}

function encode(entry: LogEntry, isStructured: boolean): Record<string, unknown> {
  const common = {
    udfType: kindNames[entry.functionKind],
    componentPath: entry.componentPath ?? null,
    identifier: entry.identifier,
    logLines: isStructured ? entry.logLines.map(structuredLine) : renderLogLines(entry.logLines),
    timestamp: entry.timestampMs / 1000,
    requestId: entry.requestId,
    executionId: entry.executionId,
  };
  return entry.kind === "progress"
    ? { kind: "Progress", ...common }
    : { kind: "Completion", ...common, ...completionFields(entry) };
}

function completionFields(entry: CompletionEntry): Record<string, unknown> {
  const { durationMs, usage } = entry;
  return {
    cachedResult: entry.cached,
    caller: entry.origin,
    parentExecutionId: entry.parentExecutionId ?? null,
    executionTime: durationMs / 1000,
    userExecutionTime: usage === null ? null : usage.durationMs / 1000,
    success: entry.status === undefined ? null : { status: String(entry.status) },
    error: entry.error,
    usageStats: usageStats(entry),
    returnBytes: entry.returnBytes ?? null,
    occInfo: null,
    willRetry: false,
    executionTimestamp: (entry.timestampMs - durationMs) / 1000,
    identityType: entry.identityType,
    environment: entry.environment,
  };
}

/** What is not measured is zero: the clients require every field. */
function usageStats({ usage }: CompletionEntry): Record<string, number> {
  return {
    databaseReadBytes: usage?.bytesRead ?? 0,
    databaseWriteBytes: usage?.bytesWritten ?? 0,
    databaseIoReadBytes: 0,
    databaseIoWriteBytes: 0,
    databaseReadDocuments: usage?.documentsRead ?? 0,
    databaseWriteDocuments: usage?.documentsWritten ?? 0,
    databaseWriteIndexRows: 0,
    storageReadBytes: 0,
    storageWriteBytes: 0,
    vectorIndexReadBytes: 0,
    vectorIndexWriteBytes: 0,
    textIndexQueryBytes: 0,
    textIndexWriteQueryBytes: 0,
    vectorIndexReadQueryBytes: 0,
    vectorIndexWriteQueryBytes: 0,
    networkEgressBytes: 0,
    memoryUsedMb: Math.ceil((usage?.heapBytes ?? 0) / (1024 * 1024)),
  };
}

function structuredLine(line: LogLine): Record<string, unknown> {
  const { messages, level, timestamp, isTruncated, udfPath, systemCode } = line;
  const componentPath = line.componentPath ?? null;
  return {
    messages,
    level,
    timestamp,
    isTruncated,
    ...(systemCode === undefined ? {} : { systemMetadata: { code: systemCode } }),
    ...(udfPath === undefined ? {} : { componentPath, udfPath }),
  };
}
