/** Starts a server for `dev` and `serve`, says where it listens, and ends it when it is told to. */
import { join } from "node:path";
import { readConfig } from "../src/config.ts";
import { readTextIfExists } from "../src/deploy/app_folder.ts";
import { setLogFormat } from "../src/logger.ts";
import { type RunningServer, startServer } from "../src/server.ts";
import { version } from "./version.ts";
import { exitStatus } from "./failure.ts";
import { type HullJson, loadHullJson, withSettings } from "./hull_json.ts";
import type { ServeOptions } from "./options.ts";
import { announceServerUrl } from "./server_url_file.ts";

const encryptionKeyLengthMin = 32;

export interface ServerMode {
  /** Hide logs and details of errors from clients. */
  readonly redact: boolean;
  /** See `ServerOptions` of src/server.ts. */
  readonly fallback?: (request: Request, target: string) => Promise<Response | undefined>;
}

export interface ServerContext {
  /** Fires when the server is about to end. */
  readonly signal: AbortSignal;
  /** The data folder was made by this start, and the admin key with it. */
  readonly isFirstStart: boolean;
}

/**
 * Runs `work` beside a server until a signal asks the process to end, the server fails, or `work` is done.
 * Resolves with the exit status: what `work` resolved with, 0 after a signal.
 */
export async function withServer(
  options: ServeOptions,
  mode: ServerMode,
  work: (server: RunningServer, context: ServerContext) => Promise<number>,
): Promise<number> {
  setLogFormat(options.logFormat);
  const keyFile = join(options.data, "admin_key");
  const isFirstStart = await readTextIfExists(keyFile) === undefined &&
    !Deno.env.get("HULL_ADMIN_KEY");
  const server = await startServer({ ...serverOptions(options, await loadHullJson()), ...mode });
  const stop = new AbortController();
  listenToSignals(() => stop.abort());
  try {
    await using _announced = await announceServerUrl(options.data, server.url);
    console.log(`hull ready on ${server.url}`);
    if (server.siteUrl !== server.url) console.log(`HTTP actions on ${server.siteUrl}`);
    const stopped = new Promise<number>((resolve) =>
      stop.signal.addEventListener("abort", () => resolve(0))
    );
    const failed = server.failed.then((error) => {
      throw error;
    });
    return await Promise.race([
      work(server, { signal: stop.signal, isFirstStart }),
      stopped,
      failed,
    ]);
  } finally {
    stop.abort();
    await server.close();
  }
}

function serverOptions(options: ServeOptions, file: HullJson) {
  const { data, host, sitePort, cloudOrigin, siteOrigin, trustedProxies } = options;
  const variables = Deno.env.toObject();
  const { HULL_ADMIN_KEY, HULL_ENCRYPTION_KEY, HULL_METRICS_TOKEN } = variables;
  return {
    dataFolder: data,
    hostname: host,
    port: options.port,
    ...sitePort !== undefined && { sitePort },
    config: readConfig(withSettings(variables, file)),
    version,
    ...trustedProxies && { trustedProxies },
    ...cloudOrigin && { cloudOrigin },
    ...siteOrigin && { siteOrigin },
    ...HULL_METRICS_TOKEN && { metricsToken: HULL_METRICS_TOKEN },
    ...HULL_ADMIN_KEY && { adminKey: HULL_ADMIN_KEY },
    ...HULL_ENCRYPTION_KEY && { encryptionKey: longEnough(HULL_ENCRYPTION_KEY) },
    ...options.discardEnv && { discardLostVariables: true },
  };
}

/** A key that could be guessed protects nothing. */
function longEnough(encryptionKey: string): string {
  if (encryptionKey.length >= encryptionKeyLengthMin) return encryptionKey;
  throw new Error(
    `HULL_ENCRYPTION_KEY must have at least ${encryptionKeyLengthMin} characters. ` +
      "`openssl rand -base64 32` makes a good one.",
  );
}

/** The first signal asks to stop in good order; a second one ends the process at once. */
export function listenToSignals(stop: () => void): void {
  const signals: readonly Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  let count = 0;
  const receive = () => count++ === 0 ? stop() : Deno.exit(exitStatus.interrupted);
  for (const signal of signals) Deno.addSignalListener(signal, receive);
}
