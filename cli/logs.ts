/** `hull logs`: what functions of a running server logged, and how they ended. */
import { type ApiClient, ApiError } from "./api_client.ts";
import { renderExecution } from "./function_logs.ts";
import { styler } from "./terminal.ts";

export interface LogsOptions {
  readonly follow?: boolean;
  /** Executions to show of those that are over. */
  readonly number: number;
  /** In place of the number: how far back, in milliseconds. */
  readonly since?: number;
  /** A line for each execution that succeeded. */
  readonly success?: boolean;
  /** One line of JSON an entry. */
  readonly json?: boolean;
}

/** An entry of `/api/stream_function_logs` (deploy-protocol 8). */
interface WireEntry {
  readonly kind: "Completion" | "Progress";
  readonly udfType: string;
  readonly identifier: string;
  /** Seconds since the epoch. */
  readonly timestamp: number;
  readonly requestId: string;
  readonly logLines: readonly {
    readonly level: string;
    readonly messages: readonly string[];
    readonly isTruncated: boolean;
  }[];
  /** Of completions, like what follows. */
  readonly error?: string | null;
  /** Seconds. */
  readonly executionTime?: number;
  readonly cachedResult?: boolean;
}

interface Page {
  readonly entries: readonly WireEntry[];
  readonly newCursor: number;
}

/** How long a follower waits for a server that does not answer, in milliseconds. */
const retryMs = 1000;

/** Resolves when everything is shown; when following, never. */
export async function logs(client: ApiClient, options: LogsOptions): Promise<number> {
  const print = (entry: WireEntry) => {
    for (const line of linesOf(entry, options)) console.log(line);
  };
  const newest = await load(client, { cursor: 0 });
  let cursor = newest.newCursor;
  if (options.since === undefined) {
    const shown = newest.entries.filter((entry) => linesOf(entry, options).length > 0);
    shown.slice(Math.max(0, shown.length - options.number)).forEach(print);
  } else {
    cursor -= options.since;
    for (let page; (page = await load(client, { cursor, wait: false })).entries.length > 0;) {
      page.entries.forEach(print);
      cursor = page.newCursor;
    }
  }
  while (options.follow) {
    const page = await loadPatiently(client, cursor);
    page.entries.forEach(print);
    cursor = page.newCursor;
  }
  return 0;
}

/** The next page, as soon as there is one and a server that gives it. */
async function loadPatiently(client: ApiClient, cursor: number): Promise<Page> {
  for (let attempt = 0;; attempt++) {
    try {
      return await load(client, { cursor });
    } catch (error) {
      const mayPass = error instanceof ApiError && (error.status === 0 || error.status >= 500);
      if (!mayPass) throw error;
      if (attempt === 0) console.error(`${error.message} Waiting for it.`);
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }
}

async function load(
  client: ApiClient,
  { cursor, wait = true }: { cursor: number; wait?: boolean },
): Promise<Page> {
  const parameters = `cursor=${cursor}${wait ? "" : "&wait=false"}`;
  return await client.get(`/api/stream_function_logs?${parameters}`) as Page;
}

function linesOf(entry: WireEntry, { json, success }: LogsOptions): string[] {
  if (json) return [JSON.stringify(entry)];
  const { kind, udfType, identifier, requestId, logLines, error, executionTime } = entry;
  const showsSuccess = success && kind === "Completion" && error === null;
  return renderExecution({
    timestampMs: entry.timestamp * 1000,
    requestId,
    function: `${udfType.charAt(0).toLowerCase()}${udfType.slice(1)} ${identifier}`,
    logLines,
    error: error ?? null,
    ...showsSuccess && { success: successText(executionTime ?? 0, entry.cachedResult) },
  }, styler(Deno.stdout));
}

function successText(executionTimeS: number, isCached = false): string {
  return isCached ? "from the cache" : `${(executionTimeS * 1000).toFixed(1)} ms`;
}
