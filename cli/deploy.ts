/** `hull deploy`: pushes an app once. */
import { loadAppFolder } from "../src/deploy/app_folder.ts";
import { bundleApp, type BundleOptions } from "../src/deploy/bundle.ts";
import { generateCode } from "../src/deploy/generate_code.ts";
import { type ApiClient, ApiError } from "./api_client.ts";
import { describePushFailure } from "./push_failure.ts";
import type { TypecheckMode } from "./options.ts";
import { pushBundle } from "./push.ts";
import { listChanges, renderChanges } from "./push_changes.ts";
import { styler, withProgress } from "./terminal.ts";
import { mustHaveRightTypes } from "./type_check.ts";

export async function deploy(
  options: { readonly app: string; readonly typecheck: TypecheckMode },
  client: ApiClient,
  bundling: BundleOptions,
): Promise<number> {
  const app = await loadAppFolder(options.app);
  await generateCode(app);
  const bundle = await withProgress("Bundling", () => bundleApp(app, bundling));
  await mustHaveRightTypes(app, options.typecheck);
  for (const warning of bundle.warnings) console.error(warning);
  try {
    const changes = listChanges(await pushBundle(client, app, bundle));
    const result = changes.length === 0 ? "nothing has changed" : "what changed:";
    const sign = styler(Deno.stderr)("green", "✔");
    console.error(`${sign} Deployed ${app.functionsPath} to ${client.origin}; ${result}`);
    for (const line of renderChanges(changes)) console.error(line);
    return 0;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const consequence = "Nothing has changed on the server.";
    console.error(await describePushFailure(error.message, app.path, consequence));
    return 1;
  }
}
