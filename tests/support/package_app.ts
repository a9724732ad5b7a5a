/** The app of tests/fixtures/component_packages, with its packages, on a server of its own. */
import { type AppServer, appServer } from "./app_server.ts";
import { installedPackages } from "./installed_packages.ts";

const fixture = "tests/fixtures/component_packages";

/** See `appServer`. */
export function packageApp(): AppServer {
  return appServer({
    app: fixture,
    prepare: async (app) => {
      await Deno.symlink(await installedPackages(fixture), `${app}/node_modules`);
    },
  });
}
