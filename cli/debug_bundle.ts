/** `--debug-bundle-path`: the bundle as files, for tools such as source-map-explorer. */
import { dirname, join, resolve } from "node:path";
import { loadAppFolder } from "../src/deploy/app_folder.ts";
import { bundleApp, type BundleOptions } from "../src/deploy/bundle.ts";
import { generateCode } from "../src/deploy/generate_code.ts";

/** Writes what a push would send, modules of isolates into `isolate/` and Node modules into `node/`. */
export async function writeDebugBundle(
  appPath: string,
  folder: string,
  options: BundleOptions,
): Promise<number> {
  const app = await loadAppFolder(appPath);
  await generateCode(app);
  const { modules, schema, definition } = await bundleApp(app, { ...options, mayBeTooLarge: true });
  for (const module of [...modules, definition, ...schema === null ? [] : [schema]]) {
    const file = join(folder, module.environment, module.path);
    await Deno.mkdir(dirname(file), { recursive: true });
    await Deno.writeTextFile(file, module.source);
    if (module.sourceMap !== undefined) await Deno.writeTextFile(`${file}.map`, module.sourceMap);
  }
  console.error(`✔ Wrote the bundle to ${resolve(folder)}. Nothing was pushed.`);
  return 0;
}
