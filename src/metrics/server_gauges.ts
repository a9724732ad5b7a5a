/** What metrics say of a server that is not counted, but looked up when somebody asks. */
import { residentMemory } from "./process_memory.ts";
import type { ServerMetrics } from "./server_metrics.ts";

export interface ServerState {
  /** Open WebSockets. */
  connectionCount(): number;
  /** Of each kind of isolates. */
  callCounts(): readonly {
    readonly pool: string;
    readonly running: number;
    readonly waiting: number;
  }[];
  databaseBytes(): { readonly database: number; readonly log: number };
  /** Those that run functions. */
  processes(): readonly { readonly name: string; readonly pid: number }[];
}

export function addServerGauges(metrics: ServerMetrics, state: ServerState): void {
  const calls = (what: "running" | "waiting") => () =>
    state.callCounts().map((counts) => ({ labels: { pool: counts.pool }, value: counts[what] }));
  metrics.add(
    {
      name: "hull_websocket_connections",
      type: "gauge",
      help: "Open WebSockets of clients.",
      samples: () => [{ value: state.connectionCount() }],
    },
    {
      name: "hull_calls_running",
      type: "gauge",
      help: "Calls that run in isolates now.",
      samples: calls("running"),
    },
    {
      name: "hull_calls_waiting",
      type: "gauge",
      help: "Calls that wait for an isolate.",
      samples: calls("waiting"),
    },
    {
      name: "hull_database_bytes",
      type: "gauge",
      help: "Size of the database file.",
      samples: () => [{ value: state.databaseBytes().database }],
    },
    {
      name: "hull_write_ahead_log_bytes",
      type: "gauge",
      help: "Size of the write-ahead log's file.",
      samples: () => [{ value: state.databaseBytes().log }],
    },
    {
      name: "hull_process_resident_bytes",
      type: "gauge",
      help: "Memory of the server's process and of those that run functions (these on Linux only).",
      samples: () => residentMemory(state.processes()),
    },
  );
}
