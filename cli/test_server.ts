/**
 * `hull test-server`: a server for tests, on an empty database that is gone when it ends. Its clock can be moved
 * and its data cleared through endpoints that no other server has (docs/testing.md).
 */
import { dirname, join } from "node:path";
import { makeAdminKey } from "../src/auth/admin_key.ts";
import { type AppFolder, loadAppFolder } from "../src/deploy/app_folder.ts";
import type { AppBundle } from "../src/deploy/bundle.ts";
import { systemEnvironment } from "../src/environment.ts";
import { startServer } from "../src/server.ts";
import { TestClock } from "../src/testing/test_clock.ts";
import { programFolder } from "../src/program_files.ts";
import { readConfig } from "../src/config.ts";
import { ApiClient, ApiError } from "./api_client.ts";
import { exitStatus } from "./failure.ts";
import { describePushFailure } from "./push_failure.ts";
import { listenToSignals } from "./start_server.ts";
import { version } from "./version.ts";

export interface TestServerOptions {
  readonly app?: string;
  readonly port: number;
  readonly host: string;
  readonly writeClient?: string;
}

export async function testServer(options: TestServerOptions): Promise<number> {
  if (options.writeClient !== undefined) return await writeClient(options.writeClient);
  // Side by side: neither needs the other until the push.
  const bundling = options.app === undefined ? undefined : bundleFolder(options.app);
  bundling?.catch(() => {/* It is awaited below. */});
  const stop = new AbortController();
  listenToSignals(() => stop.abort());
  const stopped = new Promise<void>((resolve) =>
    stop.signal.addEventListener("abort", () => resolve())
  );
  const dataFolder = await Deno.makeTempDir({ prefix: "hull-test-" });
  const removeFolder = () => Deno.remove(dataFolder, { recursive: true });
  try {
    const variables = Deno.env.toObject();
    const server = await startServer({
      dataFolder,
      hostname: options.host,
      port: options.port,
      config: readConfig(variables),
      adminKey: variables.HULL_ADMIN_KEY || makeAdminKey("test", systemEnvironment.randomBytes(32)),
      redact: false,
      version,
      testClock: new TestClock(),
    });
    try {
      const { url, siteUrl, adminKey } = server;
      const bundled = await bundling;
      if (bundled !== undefined && !await push(bundled, new ApiClient(url, adminKey))) {
        return exitStatus.failed;
      }
      console.log(`hull ready on ${url}`);
      // For the program that started it, which need not know anything but this line.
      console.log(JSON.stringify({ url, siteUrl, adminKey }));
      await Promise.race([
        endOfInput(),
        stopped,
        server.failed.then((error) => {
          throw error;
        }),
      ]);
    } finally {
      await server.close();
    }
    return 0;
  } finally {
    await removeFolder();
  }
}

interface Bundled {
  readonly app: AppFolder;
  readonly bundle: AppBundle;
}

async function bundleFolder(folder: string): Promise<Bundled> {
  const [{ bundleApp }, { generateCode }] = await Promise.all([
    import("../src/deploy/bundle.ts"),
    import("../src/deploy/generate_code.ts"),
  ]);
  const app = await loadAppFolder(folder);
  await generateCode(app);
  const bundle = await bundleApp(app);
  for (const warning of bundle.warnings) console.error(warning);
  return { app, bundle };
}

async function push({ app, bundle }: Bundled, client: ApiClient): Promise<boolean> {
  const { pushBundle } = await import("./push.ts");
  try {
    await pushBundle(client, app, bundle);
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    console.error(await describePushFailure(error.message, app.path, "The server ends."));
    return false;
  }
}

/** The test's process holds the other end of standard input: when it is killed, nobody is left to end this one. */
async function endOfInput(): Promise<void> {
  if (Deno.stdin.isTerminal()) return await new Promise(() => {});
  const reader = Deno.stdin.readable.getReader();
  while (!(await reader.read()).done);
}

async function writeClient(path: string): Promise<number> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.copyFile(join(programFolder(), "templates/testing/hull_testing.ts"), path);
  console.error(`Wrote ${path}. How to use it is said at its top.`);
  return 0;
}
