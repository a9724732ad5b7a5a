/** One development server with one app for all tests of a file: errors and log lines reach clients in full. */
import { type AppOptions, copyApp, makeApp } from "./apps.ts";
import { Clients } from "./clients.ts";
import { ServerProcess, sideBySide } from "./server_process.ts";
import { within } from "./waiting.ts";

const testTimeoutMs = 60_000;
/** An app may bring megabytes of packages. */
const pushTimeoutMs = 120_000;

export interface AppServerOptions extends AppOptions {
  /** Path of the app inside the repository; without it the app is made of `files` alone. */
  readonly app?: string;
  /** Called with the folder of the app before the server starts. */
  readonly prepare?: (app: string) => Promise<void>;
  /** Environment variables of the deployment, asked for when the server has started. */
  readonly variables?: () => Readonly<Record<string, string>>;
  /** Environment of the server process: its settings. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface AppContext {
  readonly server: ServerProcess;
  /** Folder the app was pushed from. */
  readonly app: string;
  /** npm clients of this server, closed when the test ends. */
  readonly clients: Clients;
}

export interface AppServer {
  /** Registers a test; when it fails, what the server printed meanwhile is shown. */
  test(name: string, body: (context: AppContext) => Promise<void>): void;
}

/** Registers hooks that start the server before the first test of this file and stop it after the last. */
export function appServer(options: AppServerOptions): AppServer {
  let server: ServerProcess | undefined;
  let app: string | undefined;
  Deno.test.beforeAll(async () => {
    app = options.app === undefined ? await makeApp(options) : await copyApp(options.app, options);
    await options.prepare?.(app);
    server = await ServerProcess.start({
      command: "dev",
      app,
      environment: { ...sideBySide, ...options.environment },
    });
    const outcome = await server.firstLine(/Functions ready|Push failed/, pushTimeoutMs);
    if (outcome !== "Functions ready") throw new Error(server.log);
    if (options.variables !== undefined) await setVariables(server, options.variables());
  });
  Deno.test.afterAll(async () => {
    await server?.stop();
    if (app !== undefined) await Deno.remove(app, { recursive: true });
  });
  return {
    test(name, body) {
      Deno.test({
        name,
        // The npm client keeps back-off timers for a moment after close().
        sanitizeOps: false,
        sanitizeResources: false,
        async fn() {
          if (server === undefined || app === undefined) {
            throw new Error("the server did not start");
          }
          const before = server.log.length;
          const clients = new Clients(server);
          try {
            await within(body({ server, app, clients }), testTimeoutMs, "the test to end");
          } catch (error) {
            console.error(`--- the server's output\n${server.log.slice(before)}\n---`);
            throw error;
          } finally {
            await clients.close();
          }
        },
      });
    },
  };
}

/** Sets variables in one request: functions see them together. */
export async function setVariables(
  server: ServerProcess,
  variables: Readonly<Record<string, string>>,
): Promise<void> {
  const changes = Object.entries(variables).map(([name, value]) => ({ name, value }));
  const response = await fetch(`${server.url}/api/v1/update_environment_variables`, {
    method: "POST",
    headers: { authorization: `Convex ${server.adminKey}`, "content-type": "application/json" },
    body: JSON.stringify({ changes }),
  });
  if (!response.ok) throw new Error(await response.text());
  await response.body?.cancel();
}
