/** `hull dev`: a server with one app that is pushed whenever it changes. */
import { loadAppFolder } from "../src/deploy/app_folder.ts";
import { systemEnvironment } from "../src/environment.ts";
import type { BundleOptions } from "../src/deploy/bundle.ts";
import { ApiClient } from "./api_client.ts";
import type { ServeOptions } from "./commands.ts";
import { followLogs } from "./function_logs.ts";
import { withServer } from "./start_server.ts";
import { staticFiles } from "./static_files.ts";

export interface DevOptions extends ServeOptions {
  readonly app: string;
  readonly once?: boolean;
}

export async function dev(options: DevOptions, bundling: BundleOptions): Promise<number> {
  const app = await loadAppFolder(options.app);
  const mode = { redact: false, fallback: staticFiles(app) };
  return await withServer(options, mode, async (server, signal) => {
    followLogs(server.logs, signal, print);
    const client = new ApiClient(server.url, server.adminKey);
    // The bundler and what else a push needs is loaded while the server is up already.
    const { DevLoop } = await import("./dev_loop.ts");
    const environment = systemEnvironment;
    const loop = new DevLoop({ appPath: app.path, client, environment, bundling, print });
    if (options.once) return await loop.pushOnce() ? 0 : 1;
    await loop.run(signal);
    return 0;
  });
}

/** Standard output is for the address; what a developer reads along goes here. */
function print(text: string): void {
  console.error(text);
}
