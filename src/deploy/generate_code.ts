/** Writes `_generated/` of an app and of the components that lie inside it (components 4). */
import { join, relative } from "node:path";
import type { AppFolder } from "./app_folder.ts";
import { type AppBundle, findComponents } from "./bundle.ts";
import type { ComponentImport } from "./bundle_plugins.ts";
import { generateAppCode, type InstalledComponent } from "./codegen.ts";
import { type AnalyzedDefinition, generateComponentCode } from "./component_codegen.ts";

/** What a push has found out about an app. */
export interface AnalyzedBundle {
  readonly bundle: AppBundle;
  /** By path of the definition. */
  readonly analysis: Readonly<Record<string, AnalyzedDefinition>>;
}

/**
 * Brings all files up to date that depend on files alone, and with `analyzed` the others as well.
 * @throws AppError when a definition cannot be read or a folder not be written.
 */
export async function generateCode(app: AppFolder, analyzed?: AnalyzedBundle): Promise<void> {
  const own = analyzed?.analysis[""];
  await generateAppCode(
    app,
    analyzed && own && {
      variables: own.definition.envVars ?? [],
      components: installed(own, analyzed.bundle.imports),
    },
  );
  const components = analyzed?.bundle.components ?? await findComponents(app);
  for (const { folder, definitionPath, imports } of components) {
    if (!await isLocal(app, folder)) continue;
    const analysis = analyzed?.analysis[definitionPath];
    const components = analysis && installed(analysis, imports);
    await generateComponentCode(folder, analysis && components && { analysis, components });
  }
}

function installed(
  { definition }: AnalyzedDefinition,
  imports: readonly ComponentImport[],
): InstalledComponent[] {
  return definition.childComponents.flatMap(({ name, path }) => {
    const found = imports.find(({ definitionPath }) => definitionPath === path);
    return found === undefined ? [] : [{ name, specifier: found.specifier }];
  });
}

/** Packages bring their generated files along. */
async function isLocal(app: AppFolder, folder: string): Promise<boolean> {
  const inApp = relative(app.path, folder).replaceAll("\\", "/");
  if (/^\.\.(\/|$)|(^|\/)node_modules\//.test(inApp)) return false;
  return await Deno.stat(join(folder, "convex.config.ts")).then(() => true, () => false);
}
