/** Bundles an app together with the components that it uses, and those that these use (components 2.1). */
import { type AppFolder, readTextIfExists } from "./app_folder.ts";
import type { ComponentImport } from "./bundle_plugins.ts";
import { type BundleOptions, type FolderBundle, FolderBundler } from "./folder_bundler.ts";

export type { BundleOptions };

export interface AppBundle extends FolderBundle {
  /** Each once, whoever uses it. */
  readonly components: readonly ComponentBundle[];
}

export interface ComponentBundle extends FolderBundle {
  /** Absolute. */
  readonly folder: string;
  readonly definitionPath: string;
}

/**
 * Bundles the whole app. esbuild is loaded by the first call and its process ends with each call, because
 * starting it again costs 20 ms and keeping it costs memory between two saves of a file.
 * @throws AppError whose message shows file, line and code frame of each mistake.
 */
export async function bundleApp(app: AppFolder, options: BundleOptions = {}): Promise<AppBundle> {
  const esbuild = await import("esbuild");
  const bundleFolder = (folder: string) =>
    new FolderBundler({ app, folder, esbuild, ...options }).bundle();
  try {
    const own = await bundleFolder(app.functionsPath);
    const components = await followImports(own.imports, bundleFolder);
    return {
      ...own,
      components,
      inputs: [...new Set([own, ...components].flatMap((bundle) => bundle.inputs))],
      warnings: [own, ...components].flatMap((bundle) => bundle.warnings),
    };
  } finally {
    await esbuild.stop();
  }
}

/** The components that an app uses, directly or not, found by their definitions alone. */
export async function findComponents(
  app: AppFolder,
): Promise<Pick<ComponentBundle, "folder" | "definitionPath" | "imports">[]> {
  if (!await hasDefinition(app.functionsPath)) return [];
  const esbuild = await import("esbuild");
  const importsOf = async (folder: string) => ({
    imports: await new FolderBundler({ app, folder, esbuild }).findImports(),
  });
  try {
    const { imports } = await importsOf(app.functionsPath);
    return await followImports(imports, importsOf);
  } finally {
    await esbuild.stop();
  }
}

/** Reads the folders of all components with `read`, from those that the app imports on. */
async function followImports<T extends { readonly imports: readonly ComponentImport[] }>(
  imports: readonly ComponentImport[],
  read: (folder: string) => Promise<T>,
): Promise<(T & Pick<ComponentImport, "folder" | "definitionPath">)[]> {
  const found = new Map(imports.map((each) => [each.folder, each]));
  const results = [];
  // Grows while it is gone through. The server finds out who uses whom in a circle.
  for (const { folder, definitionPath } of found.values()) {
    const result = await read(folder);
    results.push({ ...result, folder, definitionPath });
    for (const each of result.imports) if (!found.has(each.folder)) found.set(each.folder, each);
  }
  return results;
}

async function hasDefinition(folder: string): Promise<boolean> {
  for (const extension of ["ts", "js"]) {
    if (await readTextIfExists(`${folder}/convex.config.${extension}`) !== undefined) return true;
  }
  return false;
}
