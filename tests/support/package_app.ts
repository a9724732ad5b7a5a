/** The app of tests/fixtures/component_packages, with its packages, on a server of its own. */
import { type AppServer, appServer } from "./app_server.ts";
import { copyApp } from "./apps.ts";
import { installedPackages } from "./installed_packages.ts";

const fixture = "tests/fixtures/component_packages";

/** See `appServer`. */
export function packageApp(): AppServer {
  return appServer({
    app: fixture,
    prepare: addPackages,
  });
}

/** A copy of the app. The caller removes it. */
export async function packageAppFolder(): Promise<string> {
  const app = await copyApp(fixture);
  await addPackages(app);
  return app;
}

async function addPackages(app: string): Promise<void> {
  await Deno.symlink(await installedPackages(fixture), `${app}/node_modules`);
}
