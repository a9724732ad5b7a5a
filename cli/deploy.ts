/** `hull deploy`: pushes an app once. */
import { loadAppFolder } from "../src/deploy/app_folder.ts";
import { bundleApp, type BundleOptions } from "../src/deploy/bundle.ts";
import { generateCode } from "../src/deploy/codegen.ts";
import { type ApiClient, ApiError } from "./api_client.ts";
import { describePushFailure } from "./push_failure.ts";
import { pushBundle } from "./push.ts";

export async function deploy(
  appPath: string,
  client: ApiClient,
  options: BundleOptions,
): Promise<number> {
  const app = await loadAppFolder(appPath);
  await generateCode(app);
  const bundle = await bundleApp(app, options);
  for (const warning of bundle.warnings) console.error(warning);
  try {
    await pushBundle(client, app, bundle);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const consequence = "Nothing has changed on the server.";
    console.error(await describePushFailure(error.message, app.path, consequence));
    return 1;
  }
  console.error(`✔ Deployed ${app.functionsPath}`);
  return 0;
}
