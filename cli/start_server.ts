/** Starts a server for `dev` and `serve`, says where it listens, and ends it when it is told to. */
import { readConfig } from "../src/config.ts";
import { setLogFormat } from "../src/logger.ts";
import { type RunningServer, startServer } from "../src/server.ts";
import { version } from "./version.ts";
import type { ServeOptions } from "./commands.ts";

const encryptionKeyLengthMin = 32;

export interface ServerMode {
  /** Hide logs and details of errors from clients. */
  readonly redact: boolean;
  /** See `ServerOptions` of src/server.ts. */
  readonly fallback?: (request: Request, target: string) => Promise<Response | undefined>;
}

/**
 * Runs `work` beside a server until a signal asks the process to end, the server fails, or `work` is done.
 * Resolves with the exit status: what `work` resolved with, 0 after a signal.
 */
export async function withServer(
  options: ServeOptions,
  mode: ServerMode,
  work: (server: RunningServer, signal: AbortSignal) => Promise<number>,
): Promise<number> {
  setLogFormat(options.logFormat);
  const server = await startServer({ ...serverOptions(options), ...mode });
  const stop = new AbortController();
  listenToSignals(() => stop.abort());
  try {
    console.log(`hull ready on ${server.url}`);
    if (server.siteUrl !== server.url) console.log(`HTTP actions on ${server.siteUrl}`);
    const stopped = new Promise<number>((resolve) =>
      stop.signal.addEventListener("abort", () => resolve(0))
    );
    const failed = server.failed.then((error) => {
      throw error;
    });
    return await Promise.race([work(server, stop.signal), stopped, failed]);
  } finally {
    stop.abort();
    await server.close();
  }
}

function serverOptions({ data, host, port, sitePort, discardEnv }: ServeOptions) {
  const variables = Deno.env.toObject();
  const { HULL_ADMIN_KEY, HULL_ENCRYPTION_KEY, HULL_METRICS_TOKEN, HULL_TRUSTED_PROXIES } =
    variables;
  const { CONVEX_CLOUD_ORIGIN, CONVEX_SITE_ORIGIN } = variables;
  return {
    dataFolder: data,
    hostname: host,
    port,
    ...sitePort !== undefined && { sitePort },
    config: readConfig(variables),
    version,
    ...HULL_METRICS_TOKEN && { metricsToken: HULL_METRICS_TOKEN },
    ...HULL_TRUSTED_PROXIES &&
      { trustedProxies: HULL_TRUSTED_PROXIES.split(",").map((name) => name.trim()) },
    ...HULL_ADMIN_KEY && { adminKey: HULL_ADMIN_KEY },
    ...HULL_ENCRYPTION_KEY && { encryptionKey: longEnough(HULL_ENCRYPTION_KEY) },
    ...discardEnv && { discardLostVariables: true },
    ...CONVEX_CLOUD_ORIGIN && { cloudOrigin: withoutSlash(CONVEX_CLOUD_ORIGIN) },
    ...CONVEX_SITE_ORIGIN && { siteOrigin: withoutSlash(CONVEX_SITE_ORIGIN) },
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

/** Paths that begin with a slash are appended to origins. */
function withoutSlash(origin: string): string {
  return origin.replace(/\/+$/, "");
}

/** The first signal asks to stop in good order; a second one ends the process at once. */
function listenToSignals(stop: () => void): void {
  const signals: readonly Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  let count = 0;
  const receive = () => count++ === 0 ? stop() : Deno.exit(130);
  for (const signal of signals) Deno.addSignalListener(signal, receive);
}
