/** `hull dev`: a server with one app that is pushed whenever it changes. */
import { resolve } from "node:path";
import { type AppFolder, loadAppFolder, NoAppError } from "../src/deploy/app_folder.ts";
import type { BundleOptions } from "../src/deploy/bundle.ts";
import { systemEnvironment } from "../src/environment.ts";
import type { RunningServer } from "../src/server.ts";
import { ApiClient } from "./api_client.ts";
import { followLogs } from "./function_logs.ts";
import type { ServeOptions, TypecheckMode } from "./options.ts";
import { programName } from "./program_name.ts";
import { type ServerContext, type ServerMode, withServer } from "./start_server.ts";
import { staticFiles } from "./static_files.ts";
import { clearLine, styler } from "./terminal.ts";
import { welcomePage } from "./welcome_page.ts";

export interface DevOptions extends ServeOptions {
  readonly app: string;
  readonly once?: boolean;
  readonly typecheck: TypecheckMode;
}

export async function dev(options: DevOptions, bundling: BundleOptions): Promise<number> {
  const app = await findApp(options.app);
  if (app instanceof NoAppError && options.once) throw app;
  await mustBeFolder(options.app);
  let files: NonNullable<ServerMode["fallback"]> = welcomePage;
  const mode: ServerMode = {
    redact: false,
    fallback: (request, target) => files(request, target),
  };
  return await withServer(options, mode, async (server, context) => {
    const { signal } = context;
    introduce(server, context, options);
    followLogs(server.logs, signal, print);
    // The bundler and what else a push needs is loaded while the server is up already.
    const [{ DevLoop }, { DevTypes }] = await Promise.all([
      import("./dev_loop.ts"),
      import("./dev_types.ts"),
    ]);
    const { path, ...found } = app instanceof NoAppError ? await waitForApp(options.app) : app;
    files = staticFiles({ path, ...found });
    using types = new DevTypes(options.typecheck, print);
    const loop = new DevLoop({
      appPath: path,
      client: new ApiClient(server.url, server.adminKey),
      environment: systemEnvironment,
      bundling,
      types,
      print,
    });
    if (options.once) return await loop.pushOnce() ? 0 : 1;
    await loop.run(signal);
    return 0;
  });
}

function introduce(server: RunningServer, { isFirstStart }: ServerContext, options: DevOptions) {
  const style = styler(Deno.stderr);
  if (isFirstStart) {
    print(`Admin key: ${style("bold", server.adminKey)}`);
    print(`           \`${programName()} admin-key --data ${options.data}\` prints it again`);
  }
}

/** Resolves once there is an app; what makes one makes its functions folder last. */
async function waitForApp(path: string): Promise<AppFolder> {
  using watcher = Deno.watchFs(path, { recursive: false });
  const folder = path === "." ? "" : ` ${path}`;
  print(
    `There is no app in ${resolve(path)} yet. Next, in another terminal:\n` +
      `  ${
        styler(Deno.stderr)("bold", `${programName()} init${folder}`)
      }   makes one, and it is served at once`,
  );
  for (const changes = watcher[Symbol.asyncIterator]();; await changes.next()) {
    const app = await findApp(path);
    if (!(app instanceof NoAppError)) return app;
  }
}

async function findApp(path: string): Promise<AppFolder | NoAppError> {
  try {
    return await loadAppFolder(path);
  } catch (error) {
    if (error instanceof NoAppError) return error;
    throw error;
  }
}

async function mustBeFolder(path: string): Promise<void> {
  const isFolder = await Deno.stat(path).then((file) => file.isDirectory, () => false);
  if (!isFolder) throw new Error(`There is no folder ${resolve(path)}. Name the app's with --app.`);
}

/** Standard output is for the address; what a developer reads along goes here. */
function print(text: string): void {
  clearLine(Deno.stderr);
  console.error(text);
}
