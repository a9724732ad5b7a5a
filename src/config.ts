/**
 * Every limit, size and time-out of Hull: its unit, its reason, its default, and the environment
 * variable that changes it. `readConfig` is called once by the command line; everything else is handed
 * a `Config`. The table of docs/settings.md is generated from `settings` and checked by a test.
 */

interface Setting {
  /** Environment variable. */
  readonly variable: string;
  readonly defaultValue: number;
  readonly min: number;
  readonly max: number;
  /** What it bounds, with unit; one sentence for docs/settings.md. */
  readonly meaning: string;
}

const MiB = 1024 * 1024;

function setting(
  variable: string,
  defaultValue: number,
  min: number,
  max: number,
  meaning: string,
): Setting {
  return { variable, defaultValue, min, max, meaning };
}

export const settings = {
  // Execution
  transactionIsolates: setting(
    "HULL_TRANSACTION_ISOLATES",
    2,
    1,
    64,
    "Isolates that run queries and mutations side by side, at most.",
  ),
  transactionIsolatesAtFirst: setting(
    "HULL_TRANSACTION_ISOLATES_AT_FIRST",
    1,
    1,
    64,
    "Those of them that start with the server; the others start when calls have to wait.",
  ),
  actionIsolatesMax: setting(
    "HULL_ACTION_ISOLATES_MAX",
    64,
    1,
    1024,
    "Actions of the default runtime that may run at the same time; further ones wait.",
  ),
  nodeActionsMax: setting(
    "HULL_NODE_ACTIONS_MAX",
    64,
    1,
    1024,
    "Node actions that may run at the same time; further ones wait.",
  ),
  scheduledFunctionsMax: setting(
    "HULL_SCHEDULED_FUNCTIONS_MAX",
    8,
    1,
    1024,
    "Scheduled functions, and likewise cron jobs, that may run at the same time; further ones wait.",
  ),
  functionTimeoutMs: setting(
    "HULL_FUNCTION_TIMEOUT_MS",
    1000,
    50,
    600_000,
    "Time that one query or mutation may compute, database time excluded, in milliseconds.",
  ),
  databaseTimeoutS: setting(
    "HULL_DATABASE_TIMEOUT_S",
    15,
    1,
    3600,
    "Database time of one query or mutation, in seconds.",
  ),
  actionTimeoutS: setting(
    "HULL_ACTION_TIMEOUT_S",
    1800,
    1,
    86_400,
    "Time of one action of the default runtime or HTTP action, in seconds.",
  ),
  nodeActionTimeoutS: setting(
    "HULL_NODE_ACTION_TIMEOUT_S",
    600,
    1,
    86_400,
    "Time of one Node action, in seconds.",
  ),
  analysisTimeoutMs: setting(
    "HULL_ANALYSIS_TIMEOUT_MS",
    4000,
    100,
    600_000,
    "Time to load one module while a push is analysed, in milliseconds.",
  ),
  queueWaitMs: setting(
    "HULL_QUEUE_WAIT_MS",
    10_000,
    100,
    600_000,
    "How long a call waits for an isolate before it fails with TooManyConcurrentRequests, in milliseconds.",
  ),
  isolateHeapMiB: setting(
    "HULL_ISOLATE_HEAP_MIB",
    64,
    16,
    4096,
    "JavaScript heap of one isolate, in MiB.",
  ),
  executorMemoryMiB: setting(
    "HULL_EXECUTOR_MEMORY_MIB",
    1024,
    600,
    65_536,
    "Memory of one executor process; above it the operating system refuses more, in MiB.",
  ),
  nodeMemoryMiB: setting(
    "HULL_NODE_MEMORY_MIB",
    512,
    64,
    65_536,
    'Heap of a Node process for "use node" actions, in MiB; what lies outside of the heap may take as much again.',
  ),
  isolateQueueMax: setting(
    "HULL_ISOLATE_QUEUE_MAX",
    16,
    1,
    1024,
    "Calls handed to one transaction isolate ahead of time.",
  ),
  mutationRetriesMax: setting(
    "HULL_MUTATION_RETRIES_MAX",
    4,
    0,
    100,
    "How often a mutation is run again after a write conflict.",
  ),
  historyS: setting(
    "HULL_HISTORY_S",
    150,
    1,
    86_400,
    "How long the state at a timestamp can be read (`/api/query_at_ts`), in seconds; what changes meanwhile takes disk space.",
  ),
  // Transactions
  documentsReadMax: setting(
    "HULL_DOCUMENTS_READ_MAX",
    32_000,
    1,
    10_000_000,
    "Documents one query or mutation may read.",
  ),
  bytesReadMax: setting(
    "HULL_BYTES_READ_MAX",
    16 * MiB,
    1024,
    1024 * MiB,
    "Bytes of documents one query or mutation may read.",
  ),
  intervalsReadMax: setting(
    "HULL_INTERVALS_READ_MAX",
    4096,
    1,
    1_000_000,
    "Index ranges one query or mutation may read.",
  ),
  documentsWrittenMax: setting(
    "HULL_DOCUMENTS_WRITTEN_MAX",
    16_000,
    1,
    10_000_000,
    "Documents one mutation may write.",
  ),
  bytesWrittenMax: setting(
    "HULL_BYTES_WRITTEN_MAX",
    16 * MiB,
    1024,
    1024 * MiB,
    "Bytes of documents one mutation may write.",
  ),
  // Cache
  vectorMemoryMiB: setting(
    "HULL_VECTOR_MEMORY_MIB",
    2048,
    16,
    1024 * 1024,
    "Memory for the vector indexes that are searched, a byte for each dimension of each vector, in MiB.",
  ),
  queryCacheBytesMax: setting(
    "HULL_QUERY_CACHE_BYTES_MAX",
    100 * MiB,
    0,
    64 * 1024 * MiB,
    "Memory of cached query results, in bytes.",
  ),
  // Edge
  requestBodyBytesMax: setting(
    "HULL_REQUEST_BODY_BYTES_MAX",
    16 * MiB + 2000,
    1024,
    1024 * MiB,
    "Body of a function call over HTTP, in bytes.",
  ),
  httpActionBodyBytesMax: setting(
    "HULL_HTTP_ACTION_BODY_BYTES_MAX",
    20 * MiB,
    1024,
    1024 * MiB,
    "Request and response body of an HTTP action, in bytes.",
  ),
  pushBodyBytesMax: setting(
    "HULL_PUSH_BODY_BYTES_MAX",
    200_000_000,
    1024,
    2_000_000_000,
    "Body of a push, in bytes.",
  ),
  requestBodiesBytesMax: setting(
    "HULL_REQUEST_BODIES_BYTES_MAX",
    512 * MiB,
    MiB,
    64 * 1024 * MiB,
    "Bodies above 64 KiB that are being received at the same time, together, in bytes.",
  ),
  requestBodyTimeoutS: setting(
    "HULL_REQUEST_BODY_TIMEOUT_S",
    300,
    1,
    86_400,
    "Time in which a request body must arrive, in seconds.",
  ),
  connectionsMax: setting(
    "HULL_CONNECTIONS_MAX",
    10_000,
    100,
    1_000_000,
    "Connections and files that the server has open; above it, what is not being answered is closed, and live clients connect again.",
  ),
  serverMemoryMiB: setting(
    "HULL_SERVER_MEMORY_MIB",
    1024,
    64,
    1024 * 1024,
    "Memory of the server besides vectors and cached results, above which the same is done, in MiB.",
  ),
  addressRequestsMax: setting(
    "HULL_ADDRESS_REQUESTS_MAX",
    48,
    1,
    100_000,
    "Requests of one client address that are worked on at the same time; further ones wait for those.",
  ),
  addressBytesMax: setting(
    "HULL_ADDRESS_BYTES_MAX",
    128 * 1024 * 1024,
    1024,
    64 * 1024 * 1024 * 1024,
    "Request bodies of one client address that are worked on at the same time, and arguments that its sockets' calls wait with, each together, in bytes; further requests wait, and sockets are closed.",
  ),
  addressSocketsMax: setting(
    "HULL_ADDRESS_SOCKETS_MAX",
    1_000,
    1,
    1_000_000,
    "WebSockets that one client address may have open.",
  ),
  responseStallTimeoutS: setting(
    "HULL_RESPONSE_STALL_TIMEOUT_S",
    60,
    1,
    86_400,
    "How long a client may take nothing of a streamed response before it is given up, in seconds.",
  ),
  socketMessageBytesMax: setting(
    "HULL_SOCKET_MESSAGE_BYTES_MAX",
    64 * MiB,
    1024,
    1024 * MiB,
    "One message from a WebSocket client, in bytes.",
  ),
  socketIdleTimeoutS: setting(
    "HULL_SOCKET_IDLE_TIMEOUT_S",
    120,
    5,
    3600,
    "Silence after which a WebSocket client is dropped, in seconds.",
  ),
  socketMutationsMax: setting(
    "HULL_SOCKET_MUTATIONS_MAX",
    1000,
    1,
    100_000,
    "Mutations waiting on one WebSocket.",
  ),
  socketActionsMax: setting(
    "HULL_SOCKET_ACTIONS_MAX",
    1000,
    1,
    100_000,
    "Actions in flight on one WebSocket.",
  ),
  // Logs of functions
  logMiB: setting(
    "HULL_LOG_MIB",
    256,
    1,
    1024 * 1024,
    "Logs of functions that are kept on disk; the oldest are removed, in MiB.",
  ),
  logAgeMaxH: setting(
    "HULL_LOG_AGE_MAX_H",
    168,
    1,
    87_600,
    "Age at which logs of functions are removed, in hours.",
  ),
  logFunctionKiBPerS: setting(
    "HULL_LOG_FUNCTION_KIB_PER_S",
    256,
    1,
    1024 * 1024,
    "What one function may log for long; it may be 64 times as much in one second, the rest is left out, in KiB/s.",
  ),
  shutdownTimeoutS: setting(
    "HULL_SHUTDOWN_TIMEOUT_S",
    5,
    0,
    600,
    "How long a stopping server waits for calls in flight, in seconds.",
  ),
} as const satisfies Record<string, Setting>;

/** One number for each setting, in the unit its name ends with. */
export type Config = { readonly [Name in keyof typeof settings]: number };

/** The defaults, for tests and tools. */
export const defaultConfig: Config = Object.fromEntries(
  Object.entries(settings).map(([name, { defaultValue }]) => [name, defaultValue]),
) as Config;

/**
 * Reads every setting from environment variables.
 * @throws RangeError naming the variable, its value and the accepted range.
 */
export function readConfig(environment: Record<string, string | undefined>): Config {
  const entries = Object.entries(settings).map(([name, { variable, defaultValue, min, max }]) => {
    const text = environment[variable];
    if (text === undefined || text === "") return [name, defaultValue];
    const value = Number(text);
    if (!Number.isFinite(value) || value < min || value > max) {
      throw new RangeError(
        `${variable} is ${
          JSON.stringify(text)
        }; set it to a number from ${min} to ${max}, or unset it to use ${defaultValue}`,
      );
    }
    return [name, value];
  });
  return Object.fromEntries(entries) as Config;
}
